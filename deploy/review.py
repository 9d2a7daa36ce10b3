"""Makes the sign-off sheet of a language (`make review CODE=sm`), and records what a speaker signed on paper.

Each file on the sheet has a code, made of its English and translated words. A signature is recorded for that code
alone: after a change of either words the code is another, and the speaker has to see the file again.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path

import typst

from app.core.i18n import known_languages
from app.site.guide.loader import load_library
from app.site.guide.markdown import Links, render_runs
from app.site.guide.models import ENGLISH, SLUGS, Edition, Run
from deploy.sentences import FILES, Sentence, read_back, sentences, words_digest

_HERE = Path(__file__).parent
_FONTS = _HERE.parent / "app" / "site" / "guide" / "fonts"
_LATIN = "Noto Sans"
# Lines of a paragraph that begin something of their own: a heading, an item, a row of a table.
_STARTS = re.compile(r"(?:#{2,3}|-|\d+\.|\|) ")
_LEFT_OUT = re.compile(r"\{#[a-z-]+\}|\|[ :|-]+\|?")
# Characters of a line, after which a correction needs another line, and a row may break over two pages.
_LINE, _LONG = 150, 900
_MOST_RULES = 4
_CODE_DIGITS = 8


@dataclass(frozen=True)
class Signature:
    """A speaker's signature: the name or role, the day, and the code of the words that were signed."""

    by: str
    on: str
    words: str


@dataclass(frozen=True)
class SheetRow:
    """One sentence on the sheet; `rules` lines for a correction, `long` where the row may break over two pages."""

    english: list[list[Run]]
    words: list[list[Run]]
    back: list[list[Run]]
    rules: int
    long: bool


def file_code(found: list[Sentence]) -> str:
    """Return the code of a file on the sheet: 8 hexadecimal digits over its English and its translated words."""
    words = "\n".join(f"{one.key} {words_digest(one.english)} {words_digest(one.translated)}" for one in found)
    return sha256(words.encode()).hexdigest()[:_CODE_DIGITS]


def make_sheet(root: Path, code: str, names: tuple[str, ...] = FILES) -> bytes:
    """Return the sign-off sheet of a language as PDF/UA-1, with these files in their order.

    Raises typst.TypstError where no font of the machine has a character of the language.
    """
    language, back, files = known_languages(root / "content")[code], read_back(root, code), []
    library = load_library(root / "content", dict.fromkeys((ENGLISH, code)))
    links = {lang: _links(root, edition) for lang, edition in library.editions.items()}
    for name in names:
        found = sentences(root, code, name)
        if found:
            rows = [asdict(_sheet_row(one, back, links, code)) for one in found]
            files.append({"name": name, "path": path_of(root, code, name), "code": file_code(found), "rows": rows})
    data = {
        "own_name": language.own_name,
        "code": code,
        "lang": code.partition("-")[0],
        "fonts": [font for font in (language.font, _LATIN) if font],
        "printed": date.today().isoformat(),  # noqa: DTZ011  # the day where the sheet is printed
        "files": files,
    }
    compiler = typst.Compiler(font_paths=[str(_FONTS), str(root / "content")], root=str(_HERE))
    inputs = {"data": json.dumps(data, ensure_ascii=False)}
    made = compiler.compile(str(_HERE / "review_sheet.typ"), format="pdf", sys_inputs=inputs, pdf_standards="ua-1")
    assert isinstance(made, bytes)
    return made


def path_of(root: Path, code: str, name: str) -> str:
    """Return the path of a translated file below the root, as `make digests` names it."""
    if name == "messages":
        return f"translations/{code.replace('-', '_')}/LC_MESSAGES/messages.po"
    suffix = "toml" if (root / "content" / ENGLISH / f"{name}.toml").exists() else "md"
    return f"content/{code}/{name}.{suffix}"


def _links(root: Path, edition: Edition) -> Links:
    safety = {one.key.partition(":")[2]: one.translated for one in sentences(root, edition.lang, "safety")}
    return Links(edition.lang, frozenset(SLUGS), edition.contacts, safety, [].append)


def _sheet_row(one: Sentence, back: dict[str, str], links: dict[str, Links], code: str) -> SheetRow:
    size, plain = max(len(one.english), len(one.translated)), one.key.startswith("messages:")
    return SheetRow(
        english=_lines(one.english, links[ENGLISH], plain=plain),
        words=_lines(one.translated, links[code], plain=plain),
        back=_lines(back.get(words_digest(one.translated), ""), links[ENGLISH], plain=plain),
        rules=min(size // _LINE, _MOST_RULES),
        long=size > _LONG,
    )


def _lines(text: str, links: Links, *, plain: bool) -> list[list[Run]]:
    """Return the lines of a paragraph as runs: headings strong, and rows of a table with dots between the cells."""
    if plain and text:
        return [[Run(text)]]
    lines: list[str] = []
    for line in text.splitlines():
        if not _LEFT_OUT.fullmatch(line.strip()):
            if not lines or _STARTS.match(line):
                lines.append(line.strip())
            else:
                lines[-1] += f" {line.strip()}"
    return [list(_runs(line, links)) for line in lines]


def _runs(line: str, links: Links) -> Iterator[Run]:
    heading, words = line.startswith("##"), line.lstrip("# ")
    if words.startswith("|"):
        words = " · ".join(cell.strip() for cell in words.strip("|").split("|"))
    if words.startswith("- "):
        yield Run("• ")
        words = words.removeprefix("- ")
    for run in render_runs(words, links):
        yield Run(run.text, strong=heading or run.strong, lang=run.lang, href=run.href)


def read_signature(found: list[Sentence], code: str, by: str, on: date) -> Signature:
    """Return a signature on paper for the sentences of a file: who, when, and for which words.

    Raises ValueError where the code on the paper is not that of the file as it is now, or the name or day cannot be.
    """
    now = file_code(found)
    if code != now:
        raise ValueError(f"the code of this file is {now} now, not {code}; print the file again and have it signed")
    if not re.fullmatch(r'[^"\\\s][^"\\\n]*', by):
        raise ValueError('the name is missing, or has a " or a backslash; write the name or the role on the sheet')
    if on > date.today():  # noqa: DTZ011
        raise ValueError("the day is yet to come; write the day on the sheet")
    return Signature(by.strip(), on.isoformat(), now)
