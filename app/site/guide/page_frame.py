"""The frame that all pages of the site share: head, menu, languages, emergency notes and footer.

What a frame holds depends on the language and the page's path alone. For the pages of report and reply the frame is
rendered once, in pieces, and each answer fills what is between the pieces (`templates/report/pieces.html`). What stands
between them and never changes is rendered once too: a template names it with `once`. All of that is rendered without
any value of a request, so that nothing of one visitor can reach another.
"""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import current_app, request, url_for
from flask_babel import force_locale, get_translations
from flask_babel import gettext as _
from jinja2 import Template
from markupsafe import Markup

from app.core.i18n import Language, locale_of
from app.site.config import SiteConfig
from app.site.guide.english_sentences import mark_english
from app.site.guide.models import ENGLISH, HOURS, Library

# What an answer fills: the tab's title, the description, and the content.
_HOLES = 3
_MAIN = re.compile(r"<main[^>]*>(.*)</main>", re.DOTALL)


class Constant:
    """A value that is made at start and holds nothing of a request: a part that is rendered once may depend on it."""


@dataclass(frozen=True)
class MenuLink:
    """One link of the menu; `lang` is the language of its title."""

    title: str
    href: str
    lang: str


@dataclass(frozen=True)
class LanguageLink:
    """A link to the same page in another language."""

    code: str
    own_name: str
    direction: str
    href: str


class PageFrame:
    """Renders templates in the frame; `reviewed` says which catalogues a speaker has reviewed."""

    def __init__(
        self,
        library: Library,
        site: SiteConfig,
        known: Mapping[str, Language],
        *,
        style: str,
        reviewed: Mapping[str, bool],
    ) -> None:
        self._library, self._site, self._known, self._reviewed = library, site, known, reviewed
        self._style = Markup(style)  # noqa: S704  # our own file
        # What is made once, by language and by path: both come from our own routes, so that no visitor makes more.
        self._frames: dict[tuple[str, str], dict[str, Any]] = {}
        self._pieces: dict[tuple[str, ...], tuple[Markup, ...]] = {}
        self._parts: dict[tuple[object, ...], Markup] = {}
        self._addresses: dict[tuple[object, ...], str] = {}

    def render(
        self,
        template: str,
        lang: str,
        *,
        reviewed: bool = True,
        behind: bool = False,
        in_english: bool = False,
        here: str | None = None,
        **values: Any,
    ) -> str:
        """Return a template that extends `base.html` or `report/frame.html`, rendered in the frame.

        `reviewed` is the review of its words, `behind` says that they were made from other English than today's;
        `in_english` that the page is English within the frame of its language; `here` is the page's own path, empty for
        a page without an address.
        """
        code = lang if lang in self._library.editions else ENGLISH
        here = request.path if here is None else here
        if (code, here) not in self._frames:
            self._frames[code, here] = self._frame(code, here)
        frame = {**self._frames[code, here], "behind": behind}
        frame["reviewed"] = reviewed and frame["reviewed"]
        if in_english:
            frame["english_main"] = self._english_main(template, frame, values)

        def pieces(blank: str) -> tuple[Markup, ...]:
            key = (code, here, blank, str(frame["reviewed"]), str(behind))
            if key not in self._pieces:
                self._pieces[key] = _render_pieces(blank, frame)
            return self._pieces[key]

        def once(part: str, **constants: object) -> Markup:
            return self._part(part, (code, here, frame["reviewed"], behind), frame, constants)

        return mark_english(_template(template).render(frame, pieces=pieces, once=once, **values))

    def _part(
        self, part: str, of_frame: Sequence[object], frame: Mapping[str, Any], constants: Mapping[str, object]
    ) -> Markup:
        """Return a part of a page that is rendered once for these constants and all frames that are alike."""
        key = (part, *of_frame, *constants.items())
        if key not in self._parts:
            if not all(isinstance(value, int | Constant) for value in constants.values()):
                raise TypeError(f"{part} may hold nothing of a request")
            self._parts[key] = Markup(_template(part).render(frame, **constants))  # noqa: S704  # without such words
        return self._parts[key]

    def _english_main(self, template: str, frame: Mapping[str, Any], values: Mapping[str, Any]) -> Markup:
        """Return what stands in `<main>` of a template where all of it is English, but for the links."""
        edition = self._library.editions[ENGLISH]
        with force_locale(locale_of(self._known[ENGLISH])):
            gettext = _template_gettext()
            words = {
                "safety": edition.safety,
                "contacts": edition.contacts,
                "hours": {key: _(words) for key, words in HOURS.items()},
                "reviewed": True,
                "behind": False,
                "gettext": gettext,
                "_": gettext,
            }
            page = _template(template).render({**frame, **words}, **values)
        main = _MAIN.search(page)
        assert main is not None, f"{template} has no <main>"
        return Markup(main[1])  # noqa: S704  # rendered by us a moment ago

    def _frame(self, code: str, here: str) -> dict[str, Any]:
        """Return the values of the frame that are the same for every visitor of a path in a language."""
        edition, gettext = self._library.editions[code], _template_gettext()
        return {
            "lang": code,
            # Under both names: `_` alone would be looked up as the other each time.
            "gettext": gettext,
            "_": gettext,
            "dir": self._known[code].direction,
            "site": self._site,
            "style": self._style,
            "here": here,
            "home": url_for("guide.page", lang=code, slug="home"),
            "languages": self._links_to_languages(here),
            "menu": self._menu(code),
            "safety": edition.safety,
            "contacts": edition.contacts,
            "hours": {key: _(words) for key, words in HOURS.items()},
            "reviewed": edition.common.reviewed and self._reviewed.get(code, True),
            "english_main": "",
            "url_for": self._address,
        }

    def _address(self, endpoint: str, **values: str) -> str:
        """Return the address of a page; templates ask for few, and making one takes longer than all else in a line."""
        key = (endpoint, *values.items())
        if key not in self._addresses:
            self._addresses[key] = url_for(endpoint, **values)  # type: ignore[arg-type]  # `_anchor` is a text too
        return self._addresses[key]

    def _links_to_languages(self, here: str) -> tuple[LanguageLink, ...]:
        endpoint = "guide.page"
        values: dict[str, Any] = {"slug": "home"}
        if here and request.endpoint:
            endpoint, values = request.endpoint, dict(request.view_args or {})
        return tuple(
            LanguageLink(
                language.code,
                language.own_name,
                language.direction,
                url_for(endpoint, **{**values, "lang": language.code}),
            )
            for language in (self._known[code] for code in self._library.editions)
        )

    def _menu(self, code: str) -> tuple[MenuLink, ...]:
        pages = self._library.editions[code].pages
        links = [
            MenuLink(page.title, url_for("guide.page", lang=code, slug=slug), page.lang)
            for slug, page in pages.items()
            if slug != "home"
        ]
        links[1:1] = [
            MenuLink(_("Make an anonymous report"), url_for("report.form", lang=code), code),
            MenuLink(_("Check for a reply"), url_for("report.reply", lang=code), code),
        ]
        return tuple(links)


def _render_pieces(blank: str, frame: Mapping[str, Any]) -> tuple[Markup, ...]:
    """Return what stands before, between and behind the holes of a blank page."""
    hole = secrets.token_hex(16)
    page = _template(blank).render(frame, hole=hole)
    pieces = tuple(Markup(piece) for piece in page.split(hole))  # noqa: S704  # rendered, and without a visitor's words
    assert len(pieces) == _HOLES + 1, f"{blank} must have {_HOLES} holes"
    return pieces


def _template(name: str) -> Template:
    return current_app.jinja_env.get_template(name)


def _template_gettext() -> Callable[..., Markup]:
    """Return the `_` of the templates in the language of the request, whose catalogue is looked up here and kept."""
    catalogue = get_translations()

    def gettext(message: str, /, **values: Any) -> Markup:
        text = Markup(catalogue.ugettext(message))  # noqa: S704  # our own sentences; values are escaped
        return text % values if values else text

    return gettext
