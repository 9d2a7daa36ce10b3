"""Reads and checks `content/` and the reviews of the catalogues at start; content with a fault is never served.

    content/contacts.toml, plan.toml      numbers, addresses and the plan: once, for every language
    content/<lang>/<slug>.md              front matter and Markdown
    content/<lang>/contacts.toml          what each contact is for, and whether the contact learns who calls
    content/<lang>/safety.toml            the sentences that are the same on every page
    content/<lang>/audio/                 pages read aloud (`guide/page_recordings`)

Every language of the program must have every page, with the keys, list lengths and links of the English. A translation
of other English keeps its own shape until it is brought up to date: its review is stale, and its page says so. A
further language may have a part of the files. English stands where it has none, and where nobody has signed a page of a
site that shows only signed translations.
An operator's own folder lies over `content/`: its pages take the place of the program's, its contacts and sentences
take the place of those with the same id or key. Raises one `ConfigError` with all faults, each with its file and its
remedy.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from app.core.errors import ConfigError
from app.core.i18n import LANGUAGES, known_languages
from app.site.guide.comparison import compare_editions, in_english_where_missing
from app.site.guide.markdown import Links, render_line, render_page, render_runs
from app.site.guide.models import (
    ENGLISH,
    REVIEW_KEYS,
    SLUGS,
    SOURCE_REVIEW,
    Contact,
    Edition,
    GuideFolders,
    Library,
    Page,
    Review,
    read_contacts,
    read_review,
)
from app.site.guide.page_recordings import add_recordings
from app.site.guide.plan import read_plan
from app.site.guide.signs import kinds_problems

_PAGE_KEYS = frozenset({"title", "description"})
# The lists that templates and handouts show, and the length of each; 0 allows any length.
_LIST_LENGTHS: Mapping[str, Mapping[str, int]] = {
    "home": {"doors": 4},
    "self-check": {"questions": 8},
    "signs": {"signs": 7, "do": 0, "dont": 0, "child": 0},
}
# The texts that templates and handouts show; a translation has them even while it is behind the English.
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "self-check": (
        *("yes_heading", "yes", "none_heading", "none"),
        *("danger_heading", "danger", "danger_contacts"),
        *("part_true", "private", "clear", "print"),
    ),
    "signs": ("signs_intro", "child_heading"),
    "outcomes": (
        *("figures_heading", "none", "agency", "until", "by_month", "month", "received", "referred", "closed"),
        *("few", "later", "by_reason", "by_kind", "reason", "kind", "reasons"),
        *("check_heading", "check", "key"),
    ),
}
_CATALOGUE_HEADER = re.compile(r'^"(X-[A-Za-z-]+): (.*?)\\n"$', re.MULTILINE)
_FRONT_MATTER = re.compile(r"-{3,}[ \t]*\n(.*?)^-{3,}[ \t]*$", re.DOTALL | re.MULTILINE)
Fault = Callable[[str], None]


def load_library(
    root: Path, codes: Iterable[str], own: Path | None = None, *, signed_only: bool = False, with_sound: bool = True
) -> Library:
    """Return the content below `root` in these languages, English among them; `ConfigError` with every fault.

    `own` is the operator's folder, whose pages and contacts lie over those of `root`. With `signed_only` each page that
    no speaker has signed is the English one, but for the pages that a language must have (`REQUIRED_PAGES`).
    Recordings are read only `with_sound`.
    """
    faults: list[str] = []
    folders = GuideFolders(root, own)
    if own is not None and not own.is_dir():
        faults.append(f"[content] folder: {own} is not a folder; make it, or leave the key out")
    contacts = read_contacts(_contact_rows(folders, faults), _fault_in("content/contacts.toml", faults))
    plan = read_plan(_read_toml(root / "plan.toml", faults.append), _fault_in("content/plan.toml", faults))
    english = _EditionReader(folders, ENGLISH, contacts, faults).read()
    editions = {ENGLISH: english}
    for code in codes:
        if code != ENGLISH:
            translated = _EditionReader(folders, code, contacts, faults).read()
            editions[code] = in_english_where_missing(translated, english, signed_only=signed_only)
            compare_editions(translated, editions[ENGLISH], faults)
    if faults:
        raise ConfigError(tuple(faults))
    if with_sound:
        editions = {code: add_recordings(edition, folders) for code, edition in editions.items()}
    return Library({code: editions[code] for code in codes}, plan, root)


def load_catalogue_reviews(root: Path, codes: Iterable[str]) -> dict[str, Review]:
    """Return the review of each language's catalogue below `root`; `ConfigError` with every faulty record.

    The header of a `messages.po` holds the record: `X-Source-Digest` (of `messages.pot`), `X-Status`, `X-Reviewed-By`
    and `X-Reviewed-On`. A language without a catalogue is stale and not reviewed.
    """
    faults: list[str] = []
    template = root / "messages.pot"
    messages = template.read_bytes() if template.exists() else b""
    reviews = {code: _catalogue_review(root / code.replace("-", "_"), messages, faults) for code in codes}
    if faults:
        raise ConfigError(tuple(faults))
    return reviews


def _catalogue_review(folder: Path, template: bytes, faults: list[str]) -> Review:
    if folder.name == ENGLISH:
        return SOURCE_REVIEW
    path = folder / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return Review(stale=True, reviewed=False)
    headers = dict(_CATALOGUE_HEADER.findall(path.read_text(encoding="utf-8").partition("\n\n")[0]))
    keys = {"X-Source-Digest": "source_digest", "X-Status": "status", "X-Reviewed-By": "reviewed_by"}
    record: dict[str, Any] = {key: headers[header] for header, key in keys.items() if header in headers}
    record["reviewed_on"] = _day_or_none(headers.get("X-Reviewed-On", ""))
    return read_review(record, template, _fault_in(f"translations/{folder.name}", faults))


def _day_or_none(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


class _FrontMatterLoader(yaml.CSafeLoader):
    """Loads YAML as text, except days: YAML 1.1 would make `yes` a truth value and `1.0` a number."""


_FrontMatterLoader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] == "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def split_front_matter(text: str) -> tuple[dict[str, Any], str]:
    """Return the front matter, the YAML between two lines of dashes at the top of a page, and the Markdown below it.

    Raises yaml.YAMLError. A page without front matter has none: all of it is Markdown.
    """
    text = text.strip()
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, text
    front = yaml.load(match[1], _FrontMatterLoader)  # noqa: S506  # a SafeLoader
    return front if isinstance(front, dict) else {}, text[match.end() :].strip()


def _contact_rows(folders: GuideFolders, faults: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _read_toml(folders.program / "contacts.toml", faults.append).get("contact", [])
    path = folders.own_file("contacts.toml")
    own = {row.get("id"): row for row in _read_toml(path, faults.append).get("contact", [])} if path else {}
    return [own.pop(row.get("id"), row) for row in rows] + list(own.values())


class _EditionReader:
    """Reads the files of one language and collects their faults."""

    def __init__(self, folders: GuideFolders, lang: str, contacts: Mapping[str, Contact], faults: list[str]) -> None:
        self._folders, self._lang, self._shared_contacts, self._faults = folders, lang, contacts, faults
        self._stale: list[str] = []
        self._safety: dict[str, str] = {}
        # A language that the program does not bring may have a part of the files.
        self._partial = lang not in LANGUAGES

    def read(self) -> Edition:
        safety, safety_review = self._read_table("safety.toml")
        uses, uses_review = self._read_table("contacts.toml")
        self._safety = {key: str(sentence) for key, sentence in safety.items()}
        if not safety and self._partial:  # for the pages that show a sentence; the frame gets the sentences of English
            english = _read_toml(self._folders.program / ENGLISH / "safety.toml", self._faults.append)
            self._safety = {key: f"[{words}]{{lang={ENGLISH}}}" for key, words in english.items()}
        if safety and "emergency" not in safety:
            self._fault("safety.toml")("emergency is missing; write it")
        pages = {slug: page for slug in SLUGS if (page := self._read_page(slug))}
        self._check_anchors(pages)
        if "signs" in pages:
            for problem in kinds_problems(pages["signs"]):
                self._fault("signs.md")(problem)
        line = self._line("safety.toml")
        return Edition(
            lang=self._lang,
            pages=pages,
            safety={key: line(str(sentence)) for key, sentence in safety.items()},
            contacts=self._read_contacts(uses),
            common=Review(
                stale=safety_review.stale or uses_review.stale,
                reviewed=safety_review.reviewed and uses_review.reviewed,
            ),
            stale=tuple(self._stale),
            font=known_languages(self._folders.program)[self._lang].font,
        )

    def _check_anchors(self, pages: Mapping[str, Page]) -> None:
        for slug, page in pages.items():
            for link in page.links:
                target, mark, anchor = link.removeprefix("page:").partition("#")
                if mark and target in pages and f'id="{anchor}"' not in pages[target].body:
                    self._fault(f"{slug}.md")(f"the link {link} has no end; write {{#{anchor}}} above its heading")

    def _fault(self, name: str) -> Fault:
        return _fault_in(f"content/{self._lang}/{name}", self._faults)

    def _links(self, name: str) -> Links:
        return Links(self._lang, frozenset(SLUGS), self._shared_contacts, self._safety, self._fault(name))

    def _line(self, name: str) -> Callable[[str], Markup]:
        links = self._links(name)
        return lambda text: render_line(text, links)

    def _review(self, name: str, record: Mapping[str, Any]) -> Review:
        return self._review_of(self._folders.find(f"{ENGLISH}/{name}"), name, record)

    def _review_of(self, english: Path, name: str, record: Mapping[str, Any]) -> Review:
        if self._lang == ENGLISH or not record or not english.exists():
            return SOURCE_REVIEW
        found = read_review(record, english.read_bytes(), self._fault(name))
        if found.stale:
            self._stale.append(f"content/{self._lang}/{name}")
        return found

    def _lacks(self, name: str) -> bool:
        return self._partial and not self._folders.find(f"{self._lang}/{name}").exists()

    def _read_table(self, name: str) -> tuple[dict[str, Any], Review]:
        if self._lacks(name):
            return {}, Review(stale=False, reviewed=False)
        table = _read_toml(self._folders.program / self._lang / name, self._faults.append)
        review = self._review_of(self._folders.program / ENGLISH / name, name, table)
        own = self._folders.own_file(f"{self._lang}/{name}")
        whole = table | (_read_toml(own, self._faults.append) if own else {})
        return {key: value for key, value in whole.items() if key not in REVIEW_KEYS}, review

    def _read_contacts(self, uses: Mapping[str, Any]) -> dict[str, Contact]:
        fault, line = self._fault("contacts.toml"), self._line("contacts.toml")
        odd = sorted(uses.keys() ^ self._shared_contacts.keys())
        if uses and odd:
            fault(f"{' '.join(odd)}: only here or only in content/contacts.toml; write both or neither")
        found = {}
        for key, contact in self._shared_contacts.items():
            words = uses.get(key, {})
            if words and not (words.get("for") and words.get("learns")):
                fault(f"[{key}] has no for or no learns; write both")
            own: dict[str, Any] = {key: str(words[key]) for key in ("name", "hours") if key in words}
            own |= {"name_lang": self._lang} if "name" in words else {}
            own |= {"use": line(words.get("for", "")), "learns": line(words.get("learns", ""))}
            found[key] = replace(contact, **own)
        return found

    def _read_page(self, slug: str) -> Page | None:
        name = f"{slug}.md"
        if self._lacks(name):
            return None
        fault, links = self._fault(name), self._links(name)
        text = _read_text(self._folders.find(f"{self._lang}/{name}"), self._faults.append)
        if text is None:
            return None
        try:
            front, source = split_front_matter(text)
        except yaml.YAMLError as error:
            fault(
                f"the front matter is not YAML ({getattr(error, 'problem', '') or 'see its first lines'}); correct it"
            )
            front, source = {}, ""
        raw = {key: value for key, value in front.items() if key not in _PAGE_KEYS | REVIEW_KEYS}
        for key in sorted(_PAGE_KEYS):
            if not isinstance(front.get(key), str) or not front.get(key):
                fault(f"{key} is missing; write it")
        _check_lists(slug, raw, fault)
        body, headings = render_page(source, links)
        return Page(
            lang=self._lang,
            slug=slug,
            title=str(front.get("title", "")),
            description=str(front.get("description", "")),
            body=body,
            headings=headings,
            raw=raw,
            words=_convert_texts(raw, lambda words: render_line(words, links)),
            runs=_convert_texts(raw, lambda words: render_runs(words, links)),
            links=frozenset(links.met),
            review=self._review(name, front),
        )


def _check_lists(slug: str, raw: Mapping[str, Any], fault: Fault) -> None:
    for key, length in _LIST_LENGTHS.get(slug, {}).items():
        value = raw.get(key)
        if not isinstance(value, list) or not value or (length and len(value) != length):
            fault(f"{key} must be a list of {length or 'one or more'}; write each on a line of its own after a dash")
    for key in _TEXTS.get(slug, ()):
        if not raw.get(key):
            fault(f"{key} is missing; write it")


def _convert_texts(value: Any, convert: Callable[[str], Any]) -> Any:
    """Return the same tree with `convert` applied to every text."""
    if isinstance(value, Mapping):
        return {key: _convert_texts(inner, convert) for key, inner in value.items()}
    if isinstance(value, list):
        return tuple(_convert_texts(inner, convert) for inner in value)
    return convert(value) if isinstance(value, str) else value


def _fault_in(name: str, faults: list[str]) -> Fault:
    return lambda words: faults.append(f"{name}: {words}")


def _content_name(path: Path) -> str:
    return f"content/{path.relative_to(path.parents[1] if path.parent.name != 'content' else path.parents[0])}"


def _read_text(path: Path, fault: Fault) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        fault(f"{_content_name(path)}: there is no such file; write it")
    except (OSError, UnicodeDecodeError):
        fault(f"{_content_name(path)}: cannot be read as UTF-8; save it so")
    return None


def _read_toml(path: Path, fault: Fault) -> dict[str, Any]:
    text = _read_text(path, fault)
    try:
        return tomllib.loads(text or "")
    except tomllib.TOMLDecodeError as error:
        fault(f"{_content_name(path)}: not TOML ({error}); correct it")
        return {}
