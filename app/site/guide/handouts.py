"""The sheets: per language an A4 sheet and a pocket card, as PDF/UA-1, from the same words as the pages.

The same content gives the same bytes: the date inside is the newest of the contacts', nothing else of when or
where they were made is in them, and their names say only the language. Fonts are our own subsets; a character
that they lack is a fault, never a hole on paper.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import typst

from app.core.errors import ConfigError
from app.site.guide.markdown import Run
from app.site.guide.models import ENGLISH, Edition, Library

HERE = Path(__file__).parent
FONTS = HERE / "fonts"
ZIP = "sheets.zip"
_PDF, _ZIPPED = "application/pdf", "application/zip"
_LATIN = "Noto Sans"
_OWN_FONTS = {"hi": "Noto Sans Devanagari", "zh-Hans": "Noto Sans SC"}
# The least time a zip can tell.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_WORDS = (
    "heading",
    "i_speak",
    "i_speak_own",
    "i_speak_heading",
    "intro",
    "questions_heading",
    "questions_after",
    "print",
    "signs_heading",
    "do_heading",
    "dont_heading",
    "contacts_heading",
    "keep",
    "card_outside",
    "card_inside",
    "card_short",
    "cut",
    "fold",
)


@dataclass(frozen=True)
class SheetFile:
    """One file to download, and its media type."""

    name: str
    data: bytes
    type: str

    @property
    def kilobytes(self) -> int:
        """Its size as it is said beside a link: in thousands of bytes, rounded up."""
        return -(-len(self.data) // 1000)


def make(library: Library) -> dict[str, SheetFile]:
    """Every sheet and card by file name, and all of them in one zip; `ConfigError` where one cannot be made."""
    compiler = typst.Compiler(font_paths=[str(FONTS)], ignore_system_fonts=True, root=str(HERE))
    found: dict[str, SheetFile] = {}
    for lang, edition in library.editions.items():
        data = json.dumps(words(edition, library.editions[ENGLISH]), ensure_ascii=False, default=asdict)
        for kind, name in (("sheet", f"{lang}.pdf"), ("card", f"{lang}-card.pdf")):
            found[name] = SheetFile(name, _compile(compiler, name, {"data": data, "kind": kind}), _PDF)
    return found | {ZIP: SheetFile(ZIP, _zip(found.values()), _ZIPPED)}


def _compile(compiler: typst.Compiler, name: str, inputs: dict[str, str]) -> bytes:
    template = str(HERE / "sheet.typ")
    try:
        pdf = compiler.compile(template, format="pdf", sys_inputs=inputs, pdf_standards="ua-1")
    except typst.TypstError as error:
        mend = "use other characters, or make the fonts anew with app/site/guide/fonts/make.py"
        raise ConfigError((f"sheet {name}: {error}; {mend}",)) from None
    assert isinstance(pdf, bytes)
    return pdf


def build(library: Library, folder: Path) -> tuple[Path, ...]:
    """Write all of them into a folder; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for sheet in make(library).values():
        paths.append(folder / sheet.name)
        paths[-1].write_bytes(sheet.data)
    return tuple(paths)


def words(edition: Edition, english: Edition) -> dict[str, Any]:
    """All that a sheet says, each line a list of runs, for the typst template."""
    sheet, signs, check = (edition.pages[slug] for slug in ("sheet", "signs", "self-check"))
    newest = max(contact.as_at for contact in edition.contacts.values())
    said = {key: sheet.runs[key] for key in _WORDS}
    said |= {key: signs.runs[key] for key in ("signs_intro", "signs", "do", "dont")}
    said |= {
        "questions": check.runs["questions"],
        "calls": [_call(edition, entry) for entry in sheet.runs["contacts"]],
        "version": _version(sheet.runs),
        "unchecked": [] if _reviewed(edition) else _unchecked(edition, english),
    }
    frame = {
        "title": sheet.raw["heading"],
        "lang": edition.lang.partition("-")[0],
        "fonts": [font for font in (_OWN_FONTS.get(edition.lang), _LATIN) if font],
        "year": newest.year,
        "month": newest.month,
        "day": newest.day,
    }
    return frame | said


def _call(edition: Edition, entry: Mapping[str, Any]) -> dict[str, Any]:
    contact = edition.contacts[entry["contact"][0].text]
    return {"href": contact.href, "number": contact.number, "text": entry["text"]}


def _reviewed(edition: Edition) -> bool:
    pages = (edition.pages[slug] for slug in ("sheet", "signs", "self-check"))
    return edition.common.reviewed and all(page.review.reviewed for page in pages)


def _version(said: Mapping[str, Any]) -> list[Run]:
    """Version, date, the age of the numbers and the licence, as one line."""
    order = (("version_label", " "), ("version", ", "), ("date", ". "), ("as_at", ". "), ("licence", "."))
    return [run for key, mark in order for run in (*said[key], Run(mark))]


def _unchecked(edition: Edition, english: Edition) -> list[Run]:
    own, known = (e.pages["sheet"].runs["not_checked"] for e in (edition, english))
    return [*own, Run(" "), *(replace(run, lang=ENGLISH) for run in known)]


def _zip(sheets: Iterable[SheetFile]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for sheet in sheets:
            archive.writestr(zipfile.ZipInfo(sheet.name, _EPOCH), sheet.data)
    return out.getvalue()
