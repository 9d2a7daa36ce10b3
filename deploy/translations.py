"""Brings the translations up to date with the English: `make messages`, `make digests` and `make review`.

`messages` collects the program's sentences into `translations/messages.pot`, carries them into each catalogue, and
makes the catalogue of a new language. `digests` lists the translated files that were made from other English than
today's, and records the English of today in those that are named. No sentence is translated or guessed, and a review
ends when the English that was reviewed has changed.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

import click
from babel import Locale
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po
from typst import TypstError

from app.core import i18n
from app.core.i18n import Language
from app.site.guide.models import source_digest
from deploy.review import Signature, file_code, make_sheet, read_signature
from deploy.sentences import FILES, sentences, store_back

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TEMPLATE = "translations/messages.pot"
ENGLISH = "en"

_EXTRACT = (
    "-q extract -F translations/babel.cfg -k N_ -k _l -k gettext --no-location --sort-output --no-wrap"
    " --project=Haumaru --version=1"
).split()
# Lines that would change with the day, the machine or Babel's version, and so void every signature.
_VOLATILE = re.compile(
    r'^(?:"(?:POT-Creation-Date|PO-Revision-Date|Report-Msgid-Bugs-To|Last-Translator|Generated-By):.*"'
    r"|# FIRST AUTHOR.*)\n",
    re.MULTILINE,
)
_COPYRIGHT = re.compile(r"^# Copyright.*$", re.MULTILINE)
_MERGE = "msgmerge -q --update --backup=none --no-fuzzy-matching --no-wrap --sort-output".split()
_TIDY = "msgattrib --no-obsolete --no-wrap --sort-output -o".split()
_NEW_CATALOGUE = """\
# {own_name}: the sentences of the program. Licence: Apache-2.0.
msgid ""
msgstr ""
"Project-Id-Version: Haumaru 1\\n"
"Language-Team: {own_name}\\n"
"Language: {folder}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural}\\n"
"X-Source-Digest: {digest}\\n"
"X-Status: unreviewed\\n"

"""


@dataclass(frozen=True)
class Notation:
    """How one kind of file writes down which English it was made from, and who has checked it."""

    record: re.Pattern[str]  # any line of the record
    digest: re.Pattern[str]  # its group is the recorded digest
    line: str  # a new record, with {digest}
    head: str  # where the part ends in which the record stands


_RECORD = r"^(?:status|source_digest|reviewed_by|reviewed_on|reviewed_words)"
NOTATIONS = {
    ".md": Notation(
        re.compile(_RECORD + r": .*\n", re.MULTILINE),
        re.compile(r'^source_digest: "?([0-9a-f]*)', re.MULTILINE),
        'status: unreviewed\nsource_digest: "{digest}"\n',
        "\n---\n",
    ),
    ".toml": Notation(
        re.compile(_RECORD + r" = .*\n", re.MULTILINE),
        re.compile(r'^source_digest = "([0-9a-f]*)', re.MULTILINE),
        'status = "unreviewed"\nsource_digest = "{digest}"\n',
        "\n[",
    ),
    ".po": Notation(
        re.compile(r'^"X-(?:Source-Digest|Status|Reviewed-By|Reviewed-On|Reviewed-Words): .*\n', re.MULTILINE),
        re.compile(r'^"X-Source-Digest: ([0-9a-f]*)', re.MULTILINE),
        '"X-Source-Digest: {digest}\\n"\n"X-Status: unreviewed\\n"\n',
        "\n\n",
    ),
}


# What stands in the record in place of "unreviewed" once a speaker has signed the file.
SIGNATURES = {
    ".md": (
        "status: unreviewed\n",
        'status: reviewed\nreviewed_by: "{by}"\nreviewed_on: {on}\nreviewed_words: "{words}"\n',
    ),
    ".toml": (
        'status = "unreviewed"\n',
        'status = "reviewed"\nreviewed_by = "{by}"\nreviewed_on = {on}\nreviewed_words = "{words}"\n',
    ),
    ".po": (
        '"X-Status: unreviewed\\n"\n',
        '"X-Status: reviewed\\n"\n"X-Reviewed-By: {by}\\n"\n"X-Reviewed-On: {on}\\n"\n"X-Reviewed-Words: {words}\\n"\n',
    ),
}
# The words for which a speaker signed.
_SIGNED_WORDS = re.compile(r'^"?(?:X-Reviewed-Words: |reviewed_words(?: =|:) ")([0-9a-f]+)', re.MULTILINE)


@dataclass(frozen=True)
class Translation:
    """One translated file and the English file that it was made from."""

    language: str
    path: Path
    english: Path

    @property
    def name(self) -> str:
        """The name by which `make digests FILE=` calls the file: `help`, `safety`, `messages`."""
        return self.path.stem

    @property
    def stale(self) -> bool:
        """Whether the file records other English than today's, or none."""
        found = NOTATIONS[self.path.suffix].digest.search(self.path.read_text(encoding="utf-8"))
        return found is None or found.group(1) != source_digest(self.english.read_bytes())

    def accept(self, signature: Signature) -> None:
        """Record a speaker's signature in the file, which must have been made from the English of today."""
        self.sign()
        text, suffix = self.path.read_text(encoding="utf-8"), self.path.suffix
        old, new = SIGNATURES[suffix]
        assert text.count(old) == 1, "the record of a file says once that it is unreviewed"
        self.path.write_text(text.replace(old, new.format(**asdict(signature))), encoding="utf-8")

    def sign(self) -> None:
        """Record the English of today in the file, and that no speaker has checked the file since."""
        text = self.path.read_text(encoding="utf-8")
        self.path.write_text(signed(text, self.path.suffix, source_digest(self.english.read_bytes())), encoding="utf-8")


def signed(text: str, suffix: str, digest: str) -> str:
    """Return the text of a file of this suffix with a new record in place of the one that it has, if any."""
    notation = NOTATIONS[suffix]
    head, mark, body = text.partition(notation.head)
    if mark:
        head, mark = head + "\n", mark[1:]
    first = notation.record.search(head)
    if first:
        place = first.start()
    elif suffix == ".toml":
        # Behind the comment at the top: a record below a table's name would belong to that table.
        place = re.match(r"(?:#.*\n|\n)*", head).end()  # type: ignore[union-attr]  # matches the empty text too
    else:
        place = len(head)
    before, after = head[:place], notation.record.sub("", head[place:])
    return before + notation.line.format(digest=digest) + after + mark + body


def translations(root: Path) -> Iterator[Translation]:
    """Yield every translated file below `root` that records its English, page by page and language by language."""
    content = root / "content"
    for code, language in i18n.known_languages(content).items():
        if code == ENGLISH:
            continue
        for english in sorted((content / ENGLISH).iterdir()):
            path = content / code / english.name
            if english.suffix in NOTATIONS and english.name != "identity.toml" and path.exists():
                yield Translation(code, path, english)
        if catalogue(root, language).exists():
            yield Translation(code, catalogue(root, language), root / TEMPLATE)


def catalogue(root: Path, language: Language) -> Path:
    """Return where the sentences of the program stand in a language."""
    return root / "translations" / language.folder / "LC_MESSAGES" / "messages.po"


def template(root: Path) -> str:
    """Return what `messages.pot` has to hold: each sentence of the program below `root`, in order."""
    with NamedTemporaryFile(suffix=".pot") as made:
        subprocess.run([BIN / "pybabel", *_EXTRACT, "-o", made.name, "."], cwd=root, check=True)
        text = _VOLATILE.sub("", Path(made.name).read_text(encoding="utf-8"))
    return _COPYRIGHT.sub("# The words of the program. Licence: Apache-2.0.", text)


def check(root: Path) -> list[str]:
    """Return the differences between `messages.pot` and the program: one line for each sentence, none if they agree."""
    wanted, path = template(root), root / TEMPLATE
    had = path.read_text(encoding="utf-8")
    if had == wanted:
        return []
    new, old = _sentences(wanted), _sentences(had)
    lines = [f"not yet in {TEMPLATE}: {sentence!r}" for sentence in sorted(new - old)]
    lines += [f"no longer in the program: {sentence!r}" for sentence in sorted(old - new)]
    return lines or [f"{TEMPLATE}: not as pybabel writes it"]


def _sentences(text: str) -> set[str]:
    return {str(message.id) for message in read_po(text.encode().splitlines(keepends=True)) if message.id}


def collect(root: Path) -> Iterator[str]:
    """Bring the template and every catalogue up to date; yield what is left to do, a line each.

    A sentence that changed is untranslated afterwards. A language without a catalogue gets one.
    """
    changes = check(root)
    (root / TEMPLATE).write_text(template(root), encoding="utf-8")
    yield from changes
    for code, language in i18n.known_languages(root / "content").items():
        if code == ENGLISH:
            continue
        path = catalogue(root, language)
        if not path.exists():
            create(path, language, root / TEMPLATE)
        subprocess.run([*_MERGE, path, root / TEMPLATE], check=True)
        subprocess.run([*_TIDY, path, path], check=True)
        with path.open("rb") as file:
            missing = sum(1 for message in read_po(file) if message.id and not message.string)
        if missing:
            then = f"make digests CODE={code} FILE=messages"
            sentences = "1 sentence" if missing == 1 else f"{missing} sentences"
            yield f"{path.relative_to(root)}: {sentences} to translate, then: {then}"


def create(path: Path, language: Language, template_path: Path) -> None:
    """Write the catalogue of a new language, with every sentence of the template untranslated."""
    path.parent.mkdir(parents=True)
    head = _NEW_CATALOGUE.format(
        own_name=language.own_name,
        folder=language.folder,
        plural=get_plural(Locale.parse(language.babel_locale)).plural_forms,
        digest=source_digest(template_path.read_bytes()),
    )
    body = template_path.read_text(encoding="utf-8").partition("\n\n")[2]
    path.write_text(head + body.rstrip("\n") + "\n", encoding="utf-8")


def digests(root: Path, code: str, name: str) -> Iterator[str]:
    """Sign the stale files of a language, of a name, or of both; with neither only list them. Yield a line for each."""
    stale = [one for one in translations(root) if one.stale and code in ("", one.language) and name in ("", one.name)]
    if not stale:
        yield "every translation that was asked for was made from the English of today"
    for one in stale:
        path, english = one.path.relative_to(root), one.english.relative_to(root)
        if code or name:
            one.sign()
            yield f"{path}: signed for the {english} of today, unreviewed"
        else:
            mend = f"make digests CODE={one.language} FILE={one.name}"
            yield f"{path}: made from another {english} than today's; bring it up to date, then: {mend}"


def changed_since_signed(root: Path) -> Iterator[str]:
    """Yield a line for each file whose words are others than those for which a speaker signed."""
    for one in translations(root):
        found = _SIGNED_WORDS.search(one.path.read_text(encoding="utf-8"))
        if found and found[1] != file_code(sentences(root, one.language, one.name)):
            then = f"print it again with make review CODE={one.language} FILE={one.name}"
            again = f"make digests CODE={one.language} FILE={one.name}"
            yield f"{one.path.relative_to(root)}: changed since a speaker signed it; run {again}, then {then}"


@click.group()
def cli() -> None:
    """Keep the translations up to date with the English."""


@cli.command("check")
def check_command() -> None:
    """End with 1 where messages.pot is not what the program says, or a signed file has changed since."""
    lines = check(ROOT)
    for line in lines:
        click.echo(line)
    if lines:
        sys.exit("haumaru: the template is not up to date; run: make messages")
    lines = list(changed_since_signed(ROOT))
    if lines:
        sys.exit("\n".join(f"haumaru: {line}" for line in lines))


@cli.command()
def messages() -> None:
    """Bring the template and the catalogues up to date."""
    if not shutil.which("msgmerge"):
        sys.exit("haumaru: msgmerge is missing; install gettext, on Debian: apt-get install gettext")
    for line in collect(ROOT):
        click.echo(line)


def _require(language: str, name: str) -> None:
    every = list(translations(ROOT))
    if language not in {"", *(one.language for one in every)} or name not in {"", *(one.name for one in every)}:
        sys.exit("haumaru: there is no such translation; CODE is a folder in content/, FILE a name without its ending")


@cli.command("digests")
@click.option("--language", default="", help="Only this language, as its folder in content/ is called: sm")
@click.option("--file", "name", default="", help="Only this file, without its ending: help, safety, messages")
def digests_command(language: str, name: str) -> None:
    """List what was made from other English than today's; with an option, sign it for the English of today."""
    _require(language, name)
    for line in digests(ROOT, language, name):
        click.echo(line)


@cli.command("review")
@click.option("--language", required=True, help="The language, as its folder in content/ is called: sm")
@click.option("--file", "name", default="", help="Only this file, without its ending: help, safety, messages")
def review_command(language: str, name: str) -> None:
    """Make the sign-off sheet of a language for a speaker who works on paper: instance/reviews/sm.pdf."""
    _require(language, name)
    if not language:
        sys.exit("haumaru: no language is named; write such as: make review CODE=sm")
    path = ROOT / "instance" / "reviews" / f"{language}{name and '-'}{name}.pdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_bytes(make_sheet(ROOT, language, (name,) if name else FILES))
    except TypstError as error:
        sys.exit(f"haumaru: the sheet cannot be made ({error}); install a font with the letters of the language")
    click.echo(path.relative_to(ROOT))


@cli.command("sign")
@click.option("--language", required=True, help="The language, as its folder in content/ is called: sm")
@click.option("--file", "name", required=True, help="The signed file, without its ending: help, safety, messages")
@click.option("--code", required=True, help="The code of the file on the signed sheet")
@click.option("--by", required=True, help="The name or the role of the speaker, as the sheet says")
@click.option("--on", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The day on the sheet: 2026-12-01")
def sign_command(language: str, name: str, code: str, by: str, on: datetime) -> None:
    """Record what a speaker has signed on paper; a file that changed since it was printed is refused."""
    _require(language, name)
    one = next(one for one in translations(ROOT) if (one.language, one.name) == (language, name))
    if one.stale:
        sys.exit(f"haumaru: {one.path.relative_to(ROOT)} was made from other English than today's; bring it up to date")
    try:
        one.accept(read_signature(sentences(ROOT, language, name), code, by, on.date()))
    except ValueError as error:
        sys.exit(f"haumaru: {error}")
    click.echo(f"{one.path.relative_to(ROOT)}: reviewed")


@cli.command("back")
@click.option("--language", required=True, help="The language, as its folder in content/ is called: sm")
@click.option("--words", type=click.Path(exists=True, path_type=Path), help="JSON: the words that were translated back")
@click.argument("told", type=click.Path(exists=True, path_type=Path))
def back_command(language: str, words: Path | None, told: Path) -> None:
    """Keep the back-translations of TOLD, a JSON object {key: English}; name the sentences that have none.

    Without --words the keys are those of the files as they are now: help:3, safety.toml:emergency, messages:<English>.
    """
    now = {one.key: one.translated for name in FILES for one in sentences(ROOT, language, name)}
    read = dict(json.loads(words.read_text(encoding="utf-8"))) if words else now
    missing = store_back(ROOT, language, json.loads(told.read_text(encoding="utf-8")), read)
    for key in missing:
        click.echo(key)
    click.echo(f"{len(now) - len(missing)} of {len(now)} sentences have a back-translation")


if __name__ == "__main__":
    cli(prog_name="translations")
