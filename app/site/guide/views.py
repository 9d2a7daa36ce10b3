"""The pages' routes, and the frame that every page of the site has, whoever renders it.

A page is rendered from what was checked at start: no request changes what it says, and only the plan's
filters, the language and the address of a request are looked at. Every page is in every edition of the
library; an edition that is not there is a 404.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from flask import Flask, Response, abort, g, redirect, render_template, request
from flask_babel import get_translations
from flask_babel import gettext as _
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from app.core import i18n
from app.core.errors import N_
from app.core.i18n import Language
from app.site.guide import files, plan, selfcheck
from app.site.guide.handouts import ZIP, SheetFile
from app.site.guide.models import ENGLISH, Library, Page

# A page's own address, where it is not its name in `content/`.
ADDRESSES = {"home": "", "sheet": "sheets"}
_TEMPLATES = {"home": "home.html", "self-check": "self-check.html", "signs": "signs.html", "plan": "plan.html"}
_ERRORS = {
    404: N_("There is no such page here"),
    413: N_("That was too much at once"),
    429: N_("Too many at once"),
    503: N_("Too many at once"),
}
OTHER_ERROR = N_("Something went wrong")


class Site(Protocol):
    """What the frame needs to know of who runs the site."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def operator(self) -> str: ...  # noqa: D102
    @property
    def contact_email(self) -> str: ...  # noqa: D102
    @property
    def base_url(self) -> str: ...  # noqa: D102
    @property
    def demo(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True)
class Entry:
    """One link of the menu."""

    slug: str
    title: str
    href: str


@dataclass(frozen=True)
class Elsewhere:
    """The same page in one language."""

    code: str
    own_name: str
    direction: str
    href: str


class Guide:
    """The guidance site: `sheets` are the PDFs by file name; `catalogues` says which UI catalogues are reviewed."""

    def __init__(
        self,
        library: Library,
        site: Site,
        known: Mapping[str, Language],
        *,
        style: str,
        sheets: Mapping[str, SheetFile],
        catalogues: Mapping[str, bool],
    ) -> None:
        self._known = known
        self._library, self._site, self._style = library, site, Markup(style)  # noqa: S704  # our own file
        self._sheets, self._catalogues = sheets, catalogues

    @property
    def paths(self) -> tuple[str, ...]:
        """Every address whose answer never changes while the program runs."""
        pages = [self._href(lang, slug) for lang, edition in self._library.editions.items() for slug in edition.pages]
        sheets = [
            "/sheets.zip" if name == ZIP else f"/{lang}/sheets/{name}"
            for lang in self._library.editions
            for name in self._sheets
        ]
        return (*pages, *dict.fromkeys(sheets), "/plan.csv", "/plan.json", "/robots.txt", "/sitemap.xml")

    def render(self, template: str, lang: str, *, reviewed: bool = True, **values: Any) -> str:
        """Any template that extends `base.html`, in the frame; `reviewed` is the review of its own words."""
        code = lang if lang in self._library.editions else ENGLISH
        edition = self._library.editions[code]
        slug = values.pop("slug", None) or self._slug(code)
        frame = {
            "lang": code,
            "dir": self._known[code].direction,
            "site": self._site,
            "style": self._style,
            "path": slug,
            "languages": self._elsewhere(slug),
            "menu": self._menu(code),
            "safety": edition.safety,
            "contacts": edition.contacts,
            "reviewed": reviewed and edition.common.reviewed and self._catalogues.get(code, True),
            "gettext": _speaker(),
        }
        return render_template(template, **frame, **values)

    def show_error(self, status: int, sentence: str = "") -> str:
        """An error page, in the language of the address or else the browser's; `sentence` says what to do."""
        if g.get("lang") not in self._library.editions:
            g.lang = self._best()
        values = {"status": status, "title": _(_ERRORS.get(status, OTHER_ERROR)), "sentence": sentence and _(sentence)}
        return self.render("error.html", g.lang, slug="error", **values)

    def register(self, app: Flask) -> None:
        """Add every route of the guidance site to an app."""
        rules: dict[str, Callable[..., AnyResponse | str]] = {
            "/": self._root,
            "/<lang:lang>/": self._home,
            "/<lang:lang>/plan": self._plan,
            "/<lang:lang>/sheets": self._sheet_page,
            "/<lang:lang>/sheets/<name>.pdf": lambda lang, name: self._sheet(lang, f"{name}.pdf"),
            "/sheets.zip": lambda: self._sheet(ENGLISH, ZIP),
            "/plan.csv": lambda: _text(plan.to_csv(self._library.plan), "text/csv"),
            "/plan.json": lambda: _text(plan.to_json(self._library.plan), "application/json"),
            "/robots.txt": lambda: _text(files.robots(self._site.base_url, demo=self._site.demo), "text/plain"),
            "/sitemap.xml": lambda: _text(files.sitemap(self._site.base_url, self._hrefs()), "application/xml"),
            "/.well-known/security.txt": self._security,
        }
        fixed = [slug for slug in self._library.editions[ENGLISH].pages if slug not in ("home", "plan", "sheet")]
        for slug in fixed:
            rules[f"/<lang:lang>/{slug}"] = lambda lang, slug=slug: self._page(lang, slug)
        for rule, view in rules.items():
            app.add_url_rule(rule, f"guide {rule}", view, methods=["GET"])

    # The views.

    def _root(self) -> AnyResponse:
        answer = redirect(f"/{self._best()}/", 303)
        answer.headers["Vary"] = "Accept-Language"
        return answer

    def _home(self, lang: str) -> str:
        return self._page(lang, "home")

    def _page(self, lang: str, slug: str) -> str:
        page = self._find(lang, slug)
        edition = self._library.editions[lang]
        values = selfcheck.values(edition) if slug == "self-check" else {}
        return self._show(_TEMPLATES.get(slug, "page.html"), lang, page, sheet=edition.pages["sheet"].words, **values)

    def _plan(self, lang: str) -> AnyResponse | str:
        page, whole = self._find(lang, "plan"), self._library.plan
        wanted = plan.Filter(**{key: request.args.get(key, "") for key in ("pillar", "agency", "timetable", "goal")})
        if request.query_string and not wanted:
            # The whole plan is ready, and as long as every other page, without a query.
            return redirect(request.path, 303)
        return self._show(
            "plan.html",
            lang,
            page,
            plan=whole,
            wanted=wanted,
            actions=plan.choose(whole, wanted),
            overview=plan.overview(whole),
            pillars={key: _(words) for key, words in plan.PILLARS.items()},
            timetables={key: _(words) for key, words in plan.TIMETABLES.items()},
        )

    def _sheet_page(self, lang: str) -> str:
        page = self._find(lang, "sheet")
        edition = self._library.editions[lang]
        return self._show(
            "sheets.html",
            lang,
            page,
            questions=edition.pages["self-check"].words["questions"],
            signs=edition.pages["signs"].words,
            sheets=self._sheets,
            not_checked=self._library.editions[ENGLISH].pages["sheet"].words["not_checked"],
        )

    def _sheet(self, lang: str, name: str) -> Response:
        if lang not in self._library.editions or name not in self._sheets:
            abort(404)
        sheet = self._sheets[name]
        return Response(sheet.data, mimetype=sheet.type)

    def _security(self) -> Response:
        return _text(
            files.security(self._site.contact_email, self._site.base_url, tuple(self._library.editions)), "text/plain"
        )

    # What they are made of.

    def _best(self) -> str:
        return i18n.best(request.headers.get("Accept-Language", ""), tuple(self._library.editions))

    def _find(self, lang: str, slug: str) -> Page:
        edition = self._library.editions.get(lang)
        return edition.pages[slug] if edition else abort(404)

    def _show(self, template: str, lang: str, page: Page, **values: Any) -> str:
        return self.render(template, lang, slug=page.slug, reviewed=page.review.reviewed, page=page, **values)

    def _slug(self, lang: str) -> str:
        return request.path.removeprefix(f"/{lang}/") or "home"

    def _href(self, lang: str, slug: str) -> str:
        return f"/{lang}/{ADDRESSES.get(slug, slug)}"

    def _hrefs(self) -> list[str]:
        slugs = [*self._library.editions[ENGLISH].pages, "report"]
        return [self._href(lang, slug) for slug in slugs for lang in self._library.editions]

    def _elsewhere(self, slug: str) -> tuple[Elsewhere, ...]:
        slug = "home" if slug == "error" else slug
        known = (self._known[code] for code in self._library.editions)
        return tuple(Elsewhere(k.code, k.own_name, k.direction, self._href(k.code, slug)) for k in known)

    def _menu(self, lang: str) -> tuple[Entry, ...]:
        pages = self._library.editions[lang].pages
        entries = [Entry(slug, page.title, self._href(lang, slug)) for slug, page in pages.items() if slug != "home"]
        entries.insert(1, Entry("report", _("Report without your name"), f"/{lang}/report"))
        return tuple(entries)


def _speaker() -> Callable[..., Markup]:
    """What `_` calls in a template: the catalogue is looked up once a page, not once a word."""
    catalogue = get_translations()

    def speak(message: str, /, **values: Any) -> Markup:
        words = Markup(catalogue.ugettext(message))  # noqa: S704  # our own words; values are escaped
        return words % values if values else words

    return speak


def _text(text: str, mimetype: str) -> Response:
    return Response(text, mimetype=mimetype)
