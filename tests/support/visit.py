"""The one harness that visits pages in tests and checks each, whatever the test is about.

    visitor = open_site(tmp_path)                 the real site, its real content, in this process
    page = visitor.get("/en/help")                an answer, checked
    page.document.one("h1").text

Every HTML answer must parse, have the right `lang`, one `h1` that its title starts with, labelled fields and
forms with an action; may load nothing, name nobody else but as a link, set no cookie, run no script; and has
every header once. A failure says what to mend.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from time import time

from werkzeug.test import Client, TestResponse

from app.core import i18n
from app.site import demo, factory
from app.site.config import load_config
from tests.support.paths import ROOT
from tests.support.phrases import phrases

BASE = "http://127.0.0.1:8000"
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
# Pages whose heading would give their reader away in a tab or a history; their titles say less.
NEUTRAL = ("", "what-is-trafficking", "report", "reply")
FIELDS = ("input", "select", "textarea")
# Every language of the repository: the ten, and each further one that is a folder of content/.
KNOWN = i18n.known_languages(ROOT / "content")
ALWAYS = ("Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options", "Cache-Control")


@dataclass
class Element:
    """One element: its attributes, the elements around it, and all the text in it."""

    tag: str
    attrs: dict[str, str]
    around: "tuple[Element, ...]"
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.pieces)).strip()

    def within(self, tag: str) -> "Element | None":
        """The nearest element of a kind around this one."""
        return next((element for element in reversed(self.around) if element.tag == tag), None)


class Document(HTMLParser):
    """An HTML page as a flat list of elements; an unclosed or stray tag fails."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, f"<{self._open[-1].tag}> is never closed; close it in its template"

    def handle_startendtag(self, tag, attrs):
        self._add(tag, attrs)

    def handle_starttag(self, tag, attrs):
        element = self._add(tag, attrs)
        if tag not in VOID:
            self._open.append(element)

    def _add(self, tag, attrs):
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open))
        doubled = [name for name, count in Counter(name for name, _ in attrs).items() if count > 1]
        assert not doubled, f"<{tag}> has {doubled} twice; keep one"
        self.elements.append(element)
        return element

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> stands where </{self._open[-1].tag}> should"
        self._open.pop()

    def handle_data(self, data):
        for element in self._open:
            element.pieces.append(data)

    def all(self, tag: str, **attrs: str) -> list[Element]:
        """Every element of a kind with these attribute values; `class_` for `class`."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attrs.items()}
        return [
            element
            for element in self.elements
            if element.tag == tag and all(_has(element, name, value) for name, value in wanted.items())
        ]

    def one(self, tag: str, **attrs: str) -> Element:
        """The only such element."""
        found = self.all(tag, **attrs)
        assert len(found) == 1, f"{len(found)} elements <{tag} {attrs}>, not one"
        return found[0]

    @property
    def text(self) -> str:
        """What a person reads in the page's body."""
        return self.one("body").text


def _has(element: Element, name: str, value: str) -> bool:
    found = element.attrs.get(name, "")
    return value in found.split() if name == "class" else found == value


@dataclass(frozen=True)
class Visit:
    """One answer, already checked where it is HTML."""

    path: str
    response: TestResponse
    document: Document

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return dict(self.response.headers)

    @property
    def text(self) -> str:
        return self.document.text


class Visitor:
    """A browser without JavaScript and without a memory, on one site."""

    def __init__(self, app, parts: factory.Prerendered, *, base: str = BASE) -> None:
        self.app, self.prerendered, self.base = app, parts, base

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.prerendered.library.editions)

    def get(self, path: str, **headers: str) -> Visit:
        return self._visit("GET", path, headers=_named(headers))

    def post(self, path: str, data: Mapping[str, object], **headers: str) -> Visit:
        named = {"Origin": self.base, "Sec-Fetch-Site": "same-origin"} | _named(headers)
        return self._visit("POST", path, headers=named, data=data)

    def post_files(self, path: str, fields: Mapping[str, str], *files: tuple[str, bytes]) -> Visit:
        """A form with files as one body in memory, the fields first, as a browser sends it."""
        rows = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
        rows += [(f'name="files"; filename="{name}"', data) for name, data in files]
        parts = [
            b"--limit\r\nContent-Disposition: form-data; " + row.encode() + b"\r\n\r\n" + data + b"\r\n"
            for row, data in rows
        ]
        headers = {"Origin": self.base, "Sec-Fetch-Site": "same-origin"}
        body = b"".join(parts) + b"--limit--\r\n"
        return self._visit("POST", path, headers=headers, data=body, content_type="multipart/form-data; boundary=limit")

    def _visit(self, method: str, path: str, **how) -> Visit:
        client = Client(self.app, use_cookies=False)
        response = client.open(path, method=method, base_url=self.base, **how)
        response.get_data()
        check_headers(response, path)
        is_html = response.mimetype == "text/html" and response.status_code != 303
        document = Document(response.get_data(as_text=True) if is_html else "")
        if is_html:
            check(document, path, self.prerendered.config.site.base_url, found=response.status_code == 200)
        return Visit(path, response, document)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def check_headers(response: TestResponse, path: str) -> None:
    """Every header once, the guard's on every answer, no cookie but the way out's."""
    names = Counter(name.lower() for name, _ in response.headers)
    doubled = [name for name, count in names.items() if count > 1]
    assert not doubled, f"{path}: {doubled} more than once; set each in guard alone, by assignment"
    for name in ALWAYS:
        assert name in response.headers, f"{path}: no {name}; guard sets it on every answer"
    assert "no-store" in response.headers["Cache-Control"], f"{path}: without no-store Back shows it after the way out"
    cookie = response.headers.get("Set-Cookie", "")
    assert not cookie or (path == "/go" and re.match(r"x=[0-9]+\.[\w-]{43};", cookie)), (
        f"{path}: sets the cookie {cookie}"
    )


def check(document: Document, path: str, base_url: str, *, found: bool = True) -> None:
    """What every page of the site holds to."""
    code = path.split("/")[1]
    html = document.one("html")
    if found and code in KNOWN:
        assert html.attrs["lang"] == code, f"{path}: lang is {html.attrs['lang']}, the address says {code}"
    assert html.attrs["dir"] in ("ltr", "rtl"), f"{path}: no dir"
    _check_names(document, path)
    _check_fields(document, path)
    _check_references(document, path)
    _check_alone(document, path, base_url)
    _check_way_out(document, path)


def _check_names(document: Document, path: str) -> None:
    heading, title = document.one("h1").text, document.one("title").text
    assert heading, f"{path}: the h1 is empty"
    problem = title.partition(": ")[2]
    if path.rpartition("/")[2].partition("?")[0] not in NEUTRAL:
        named = title.startswith(heading) or problem.startswith(heading)
        assert named, f"{path}: the title “{title}” lacks “{heading}”"
    assert document.one("meta", name="description").attrs["content"], f"{path}: no description"
    levels = [int(e.tag[1]) for e in document.elements if re.fullmatch("h[1-6]", e.tag) and e.within("main")]
    for before, after in pairwise(levels):
        assert after <= before + 1, f"{path}: an h{after} follows an h{before}; skip no level"
    ids = Counter(element.attrs["id"] for element in document.elements if "id" in element.attrs)
    doubled = [identifier for identifier, count in ids.items() if count > 1]
    assert not doubled, f"{path}: these ids stand twice: {doubled}"


def _check_fields(document: Document, path: str) -> None:
    labels = {label.attrs.get("for") for label in document.all("label")}
    for element in document.elements:
        if element.tag in FIELDS and element.attrs.get("type") != "hidden":
            named = element.within("label") or element.attrs.get("id") in labels or element.attrs.get("aria-label")
            assert named, f"{path}: <{element.tag} name={element.attrs.get('name')}> has no label"
        if element.tag == "form":
            assert element.attrs.get("action") or element.attrs.get("method") == "dialog", (
                f"{path}: a form goes nowhere"
            )
        if element.tag in ("a", "button", "summary"):
            assert element.text or element.attrs.get("aria-label"), (
                f"{path}: <{element.tag} {element.attrs}> says nothing"
            )
    for fieldset in document.all("fieldset"):
        legends = [legend for legend in document.all("legend") if legend.within("fieldset") is fieldset]
        assert len(legends) == 1, f"{path}: a fieldset has {len(legends)} legends"


def _check_references(document: Document, path: str) -> None:
    ids = {element.attrs.get("id") for element in document.elements}
    for element in document.elements:
        for name in ("aria-labelledby", "aria-describedby", "for", "form"):
            for reference in element.attrs.get(name, "").split():
                assert reference in ids, f"{path}: {name}={reference} points at nothing"
        href = element.attrs.get("href", "")
        if href.startswith("#"):
            assert href[1:] in ids, f"{path}: the link {href} points at nothing"


def _check_alone(document: Document, path: str, base_url: str) -> None:
    """Nothing is loaded, nothing runs, and what leads elsewhere is a link."""
    for element in document.elements:
        assert element.tag not in ("script", "iframe", "object", "embed"), f"{path}: has a <{element.tag}>"
        if element.tag == "img":  # thumbnails of what a sender has just uploaded
            assert path.endswith(("/report", "/reply")), f"{path}: has an <img>"
            assert element.attrs["src"].startswith("data:image/jpeg;base64,"), f"{path}: an <img> that is no JPEG"
            assert element.attrs["alt"], f"{path}: an <img> without words"
        if element.tag in ("audio", "video"):  # a page read aloud: the reader alone starts it
            # A page that a language does not have yet is English, and is heard in English.
            own = element.attrs["src"].startswith((f"/{path.split('/')[1]}/audio/", "/en/audio/"))
            assert own, f"{path}: <{element.tag} {element.attrs}> asks somebody else"
            assert element.attrs.get("preload") == "none", f"{path}: <{element.tag}> loads before a reader asks"
            assert {"controls"} == {"controls", "autoplay"} & element.attrs.keys(), f"{path}: a reader cannot start it"
            continue
        for name, value in element.attrs.items():
            barred = name == "style" or name.startswith("on")
            assert not barred, f"{path}: {name}= on <{element.tag}>; the policy bars it"
            if name == "src" or (element.tag == "link" and name == "href"):
                assert value.startswith(("data:", base_url)), (
                    f"{path}: <{element.tag} {name}={value}> asks somebody else"
                )
    assert "url(" not in document.one("style").text, f"{path}: the stylesheet loads something"


def _check_way_out(document: Document, path: str) -> None:
    reachable = [
        element
        for element in document.elements
        if (element.tag in ("a", "button", "summary", *FIELDS) and element.attrs.get("type") != "hidden")
        or element.attrs.get("tabindex") == "0"
    ]
    first = reachable[0]
    form = first.within("form")
    assert first.tag == "button", f"{path}: Tab reaches <{first.tag}> before the way out"
    assert form is not None, f"{path}: the way out is in no form"
    assert (form.attrs["action"], form.attrs["method"]) == ("/go", "post"), f"{path}: the way out is not the first form"


def site_root(folder: Path, codes: tuple[str, ...] | None = None) -> Path:
    """A root like the repository's with the content of some languages only."""
    root = folder / "root"
    (root / "content").mkdir(parents=True)
    (root / "translations").symlink_to(ROOT / "translations")
    for path in (ROOT / "content").iterdir():
        target = root / "content" / path.name
        if path.is_file() or path.name in (codes or KNOWN):
            target.symlink_to(path)
        else:
            # The phrases by which a text is searched are those of every language, whichever are served.
            target.mkdir()
            (target / "identity.toml").symlink_to(path / "identity.toml")
    return root


def open_site(
    folder: Path,
    codes: tuple[str, ...] | None = None,
    *,
    root: Path | None = None,
    clock: Callable[[], float] = time,
    **variables: str,
) -> Visitor:
    """The real site with the demonstration's configuration, its outbox and secret in `folder`."""
    # A root that is made here has the phrases of all languages; any other may have its own.
    known = None if root else phrases()
    root = root or site_root(folder, codes)
    path = demo.prepare_folder(folder / "demo")
    settings = load_config(path, {**os.environ, **{f"HAUMARU_{key}": value for key, value in variables.items()}})
    parts = factory.prerender_site(settings, root=root, phrases=known)
    return Visitor(factory.build_site(parts, root=root, clock=clock), parts, base=settings.site.base_url)
