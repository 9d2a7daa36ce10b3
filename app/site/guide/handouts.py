"""Makes the handouts in each language, as PDF/UA-1, from the words of the pages: sheet, cards, poster, and pictures.

The same content gives the same bytes: the only date inside is the newest date of the contacts, nothing says when or
where a file was made, and the file names say only the language. The fonts are our own subsets, and what a further
language has in its folder: a character that they lack raises `ConfigError` and is never left blank on paper.
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
from app.site.guide.handout_address import make_address
from app.site.guide.models import ENGLISH, Contact, Edition, Library, Run

_FOLDER = Path(__file__).parent
ZIP_NAME = "sheets.zip"
# The template of each handout, and how its file name ends after the language.
KINDS = {"sheet": "", "card": "-card", "poster": "-poster", "pictures": "-pictures"}
_PDF_TYPE, _ZIP_TYPE = "application/pdf", "application/zip"
_LATIN = "Noto Sans"
# The contacts that a strip of the poster has: a number for danger, and a number that asks for no name.
_STRIP_CONTACTS = ("police-111", "crime-stoppers")
# The earliest time that a zip can hold.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_SHEET_KEYS = (
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
class Handout:
    """One file to download, with its media type."""

    name: str
    data: bytes
    type: str

    @property
    def stem(self) -> str:
        """Return the file name without its extension, as the handout's address has it."""
        return self.name.rpartition(".")[0]

    @property
    def kilobytes(self) -> int:
        """Return the size that stands beside a link: in thousands of bytes, rounded up."""
        return -(-len(self.data) // 1000)


def make_handouts(library: Library, base_url: str = "") -> dict[str, Handout]:
    """Return every handout by file name, and all of them in one zip; `ConfigError` if one cannot be made.

    `base_url` is the address of the site; poster and pictures show it only if a reader elsewhere can open it.
    """
    fonts = [str(_FOLDER / "fonts"), str(library.content)]
    compiler = typst.Compiler(font_paths=fonts, ignore_system_fonts=True, root=str(_FOLDER))
    found: dict[str, Handout] = {}
    for lang, edition in ((code, one) for code, one in library.editions.items() if one.printable):
        texts = handout_data(edition, library.editions[ENGLISH]) | {"address": make_address(base_url, lang)}
        data = json.dumps(texts, ensure_ascii=False, default=asdict)
        for kind, end in KINDS.items():
            name = f"{lang}{end}.pdf"
            found[name] = Handout(name, _compile(compiler, kind, name, data), _PDF_TYPE)
    return found | {ZIP_NAME: Handout(ZIP_NAME, _zip_handouts(found.values()), _ZIP_TYPE)}


def _compile(compiler: typst.Compiler, kind: str, name: str, data: str) -> bytes:
    template = str(_FOLDER / "print" / f"{kind}.typ")
    try:
        pdf = compiler.compile(template, format="pdf", sys_inputs={"data": data}, pdf_standards="ua-1")
    except typst.TypstError as error:
        remedy = 'use other characters, or put a font into content/<code>/, and write font = "…" in its language.toml'
        raise ConfigError((f"handout {name}: {error}; {remedy}",)) from None
    assert isinstance(pdf, bytes)
    return pdf


def handout_data(edition: Edition, english: Edition) -> dict[str, Any]:
    """Return the texts of a language's handouts for the Typst template, each line as a list of runs."""
    sheet, signs, check = (edition.pages[slug] for slug in ("sheet", "signs", "self-check"))
    newest = max(contact.as_at for contact in edition.contacts.values())
    texts = {key: sheet.runs[key] for key in _SHEET_KEYS}
    texts |= {key: signs.runs[key] for key in ("signs_intro", "signs", "do", "dont")}
    texts |= {
        "questions": check.runs["questions"],
        "calls": [_call_entry(edition, entry) for entry in sheet.runs["contacts"]],
        "strip": [_number(edition.contacts[key]) for key in _STRIP_CONTACTS],
        "version": _version_line(sheet.runs),
        "unchecked": [] if _reviewed(edition) else _unchecked(edition, english),
    }
    frame = {
        "title": sheet.raw["heading"],
        "lang": edition.lang.partition("-")[0],
        "fonts": [font for font in (edition.font, _LATIN) if font],
        "year": newest.year,
        "month": newest.month,
        "day": newest.day,
    }
    return frame | texts


def _call_entry(edition: Edition, entry: Mapping[str, Any]) -> dict[str, Any]:
    return _number(edition.contacts[entry["contact"][0].text]) | {"text": entry["text"]}


def _number(contact: Contact) -> dict[str, Any]:
    return {"href": contact.href, "number": contact.number}


def _reviewed(edition: Edition) -> bool:
    pages = (edition.pages[slug] for slug in ("sheet", "signs", "self-check"))
    return edition.common.reviewed and all(page.review.reviewed for page in pages)


def _version_line(texts: Mapping[str, Any]) -> list[Run]:
    """Return one line with the version, its date, the age of the numbers, and the licence."""
    order = (("version_label", " "), ("version", ", "), ("date", ". "), ("as_at", ". "), ("licence", "."))
    return [run for key, mark in order for run in (*texts[key], Run(mark))]


def _unchecked(edition: Edition, english: Edition) -> list[Run]:
    own, in_english = (e.pages["sheet"].runs["not_checked"] for e in (edition, english))
    return [*own, Run(" "), *(replace(run, lang=ENGLISH) for run in in_english)]


def _zip_handouts(handouts: Iterable[Handout]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for handout in handouts:
            archive.writestr(zipfile.ZipInfo(handout.name, _ZIP_EPOCH), handout.data)
    return out.getvalue()
