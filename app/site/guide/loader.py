"""`content/` to frozen pages, checked at start: what is faulty is never served.

    content/contacts.toml, plan.toml      numbers, addresses and the plan: once, for every language
    content/<lang>/<slug>.md              front matter and Markdown
    content/<lang>/contacts.toml          what each contact is for, and whether it learns who one is
    content/<lang>/safety.toml            the sentences that are the same everywhere

Every language has every page, with the same keys, list lengths and links as the English; all faults are told
at once, as a `ConfigError`, each with the file and the mend.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from app.core.errors import ConfigError
from app.site.guide import contacts, markdown, plan, review
from app.site.guide.contacts import Contact
from app.site.guide.markdown import Links
from app.site.guide.models import ENGLISH, SLUGS, Edition, Library, Page
from app.site.guide.review import Review

_OWN = frozenset({"title", "description"})
# Lists that pages and sheets are built on, and how long each is; 0 stands for any length.
_LISTS: Mapping[str, Mapping[str, int]] = {
    "home": {"doors": 4},
    "self-check": {"questions": 8},
    "signs": {"signs": 7, "do": 0, "dont": 0, "child": 0},
}
_FRONT_MATTER = re.compile(r"-{3,}[ \t]*\n(.*?)^-{3,}[ \t]*$", re.DOTALL | re.MULTILINE)
Fault = Callable[[str], None]


def load(root: Path, codes: Iterable[str]) -> Library:
    """Read and check `content/` for these languages, English among them; `ConfigError` tells every fault."""
    faults: list[str] = []
    numbers = contacts.read(
        _toml(root / "contacts.toml", faults.append).get("contact", []), _named("content/contacts.toml", faults)
    )
    the_plan = plan.read(_toml(root / "plan.toml", faults.append), _named("content/plan.toml", faults))
    english = _Folder(root, ENGLISH, numbers, faults)
    editions = {ENGLISH: english.edition()}
    for code in codes:
        if code != ENGLISH:
            translated = _Folder(root, code, numbers, faults).edition()
            editions[code] = translated
            _compare(translated, editions[ENGLISH], faults)
    if faults:
        raise ConfigError(tuple(faults))
    return Library({code: editions[code] for code in codes}, the_plan)


class _Words(yaml.SafeLoader):
    """YAML in which only days are not text: in YAML 1.1 `yes` would be a truth value and `1.0` a number."""


_Words.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] == "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _split(text: str) -> tuple[dict[str, Any], str]:
    """Return the front matter, the YAML between two lines of dashes at the top of a page, and the Markdown below it.

    Raises yaml.YAMLError. A page without front matter has none: all of it is Markdown.
    """
    text = text.strip()
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, text
    front = yaml.load(match[1], _Words)  # noqa: S506  # a SafeLoader
    return front if isinstance(front, dict) else {}, text[match.end() :].strip()


class _Folder:
    """One language's files while they are read."""

    def __init__(self, root: Path, lang: str, numbers: Mapping[str, Contact], faults: list[str]) -> None:
        self._root, self._lang, self._numbers, self._faults = root, lang, numbers, faults
        self._stale: list[str] = []
        self._safety: dict[str, str] = {}

    def edition(self) -> Edition:
        safety, safety_review = self._table("safety.toml")
        uses, uses_review = self._table("contacts.toml")
        self._safety = {key: str(sentence) for key, sentence in safety.items()}
        if safety and "emergency" not in safety:
            self._fault("safety.toml")("emergency is missing; write it")
        pages = {slug: page for slug in SLUGS if (page := self._page(slug))}
        self._check_anchors(pages)
        line = self._line("safety.toml")
        return Edition(
            lang=self._lang,
            pages=pages,
            safety={key: line(sentence) for key, sentence in self._safety.items()},
            contacts=self._contacts(uses),
            common=Review(
                stale=safety_review.stale or uses_review.stale,
                reviewed=safety_review.reviewed and uses_review.reviewed,
            ),
            stale=tuple(self._stale),
        )

    def _check_anchors(self, pages: Mapping[str, Page]) -> None:
        for slug, page in pages.items():
            for link in page.links:
                target, mark, anchor = link.removeprefix("page:").partition("#")
                if mark and target in pages and f'id="{anchor}"' not in pages[target].body:
                    self._fault(f"{slug}.md")(f"the link {link} has no end; write {{#{anchor}}} above its heading")

    def _fault(self, name: str) -> Fault:
        return _named(f"content/{self._lang}/{name}", self._faults)

    def _links(self, name: str) -> Links:
        return Links(self._lang, frozenset(SLUGS), self._numbers, self._safety, self._fault(name))

    def _line(self, name: str) -> Callable[[str], Markup]:
        links = self._links(name)
        return lambda text: markdown.line(text, links)

    def _review(self, name: str, record: Mapping[str, Any]) -> Review:
        english = self._root / ENGLISH / name
        if self._lang == ENGLISH or not record or not english.exists():
            return review.SOURCE
        found = review.of(record, english.read_bytes(), self._fault(name))
        if found.stale:
            self._stale.append(f"content/{self._lang}/{name}")
        return found

    def _table(self, name: str) -> tuple[dict[str, Any], Review]:
        table = _toml(self._root / self._lang / name, self._faults.append)
        return {key: value for key, value in table.items() if key not in review.KEYS}, self._review(name, table)

    def _contacts(self, uses: Mapping[str, Any]) -> dict[str, Contact]:
        fault, line = self._fault("contacts.toml"), self._line("contacts.toml")
        odd = sorted(uses.keys() ^ self._numbers.keys())
        if uses and odd:
            fault(f"{' '.join(odd)}: only here or only in content/contacts.toml; write both or neither")
        found = {}
        for key, contact in self._numbers.items():
            words = uses.get(key, {})
            if words and not (words.get("for") and words.get("learns")):
                fault(f"[{key}] has no for or no learns; write both")
            own: dict[str, Any] = {key: str(words[key]) for key in ("name", "hours") if key in words}
            own |= {"use": line(words.get("for", "")), "learns": line(words.get("learns", ""))}
            found[key] = replace(contact, **own)
        return found

    def _page(self, slug: str) -> Page | None:
        name = f"{slug}.md"
        fault, links = self._fault(name), self._links(name)
        text = _read(self._root / self._lang / name, self._faults.append)
        if text is None:
            return None
        try:
            front, source = _split(text)
        except yaml.YAMLError as error:
            fault(f"the front matter is not YAML ({getattr(error, 'problem', '') or 'see its first lines'}); mend it")
            front, source = {}, ""
        raw = {key: value for key, value in front.items() if key not in _OWN | review.KEYS}
        for key in sorted(_OWN):
            if not isinstance(front.get(key), str) or not front.get(key):
                fault(f"{key} is missing; write it")
        _check_lists(slug, raw, fault)
        body, headings = markdown.page(source, links)
        return Page(
            slug=slug,
            title=str(front.get("title", "")),
            description=str(front.get("description", "")),
            body=body,
            headings=headings,
            raw=raw,
            words=_each(raw, lambda words: markdown.line(words, links)),
            runs=_each(raw, lambda words: markdown.runs(words, links)),
            links=frozenset(links.met),
            review=self._review(name, front),
        )


def _check_lists(slug: str, raw: Mapping[str, Any], fault: Fault) -> None:
    for key, length in _LISTS.get(slug, {}).items():
        value = raw.get(key)
        if not isinstance(value, list) or not value or (length and len(value) != length):
            fault(f"{key} must be a list of {length or 'one or more'}; write each on a line of its own after a dash")


def _compare(translated: Edition, english: Edition, faults: list[str]) -> None:
    """A translation has the keys, the list lengths and the links of its English, in whatever order."""
    for slug, page in translated.pages.items():
        fault, model = _named(f"content/{translated.lang}/{slug}.md", faults), english.pages.get(slug)
        if model is None:
            continue
        own, model_shape = _shape(page.raw), _shape(model.raw)
        unlike = sorted(key for key in own.keys() | model_shape.keys() if own.get(key, 0) != model_shape.get(key, 0))
        if unlike:
            fault(f"the front matter differs from the English in {', '.join(unlike)}; give it the same keys and lists")
        odd = sorted(page.links ^ model.links)
        if odd:
            fault(f"these links stand in one of this file and the English only: {' '.join(odd)}; make them the same")
        if len(page.headings) != len(model.headings):
            fault(f"{len(page.headings)} headings (##) beside {len(model.headings)} in the English; make them the same")
    odd = sorted(translated.safety.keys() ^ english.safety.keys())
    if translated.safety and odd:
        faults.append(f"content/{translated.lang}/safety.toml: {' '.join(odd)}: in one language only; write it in both")


def _shape(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _shape(inner) for key, inner in value.items()}
    return [_shape(inner) for inner in value] if isinstance(value, list) else None


def _each(value: Any, line: Callable[[str], Any]) -> Any:
    """The same tree with `line` done to every text."""
    if isinstance(value, Mapping):
        return {key: _each(inner, line) for key, inner in value.items()}
    if isinstance(value, list):
        return tuple(_each(inner, line) for inner in value)
    return line(value) if isinstance(value, str) else value


def _named(name: str, faults: list[str]) -> Fault:
    return lambda words: faults.append(f"{name}: {words}")


def _short(path: Path) -> str:
    return f"content/{path.relative_to(path.parents[1] if path.parent.name != 'content' else path.parents[0])}"


def _read(path: Path, fault: Fault) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        fault(f"{_short(path)}: there is no such file; write it")
    except (OSError, UnicodeDecodeError):
        fault(f"{_short(path)}: cannot be read as UTF-8; save it so")
    return None


def _toml(path: Path, fault: Fault) -> dict[str, Any]:
    text = _read(path, fault)
    try:
        return tomllib.loads(text or "")
    except tomllib.TOMLDecodeError as error:
        fault(f"{_short(path)}: not TOML ({error}); mend it")
        return {}
