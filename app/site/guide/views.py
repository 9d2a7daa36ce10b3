"""The views of the guidance pages and of the files for machines.

Pages are rendered from content that was checked at start: a request chooses only the language, the page and the filter
of the plan. The self-check has no view that takes an answer, and its form has no address: an answer cannot leave the
page. A language that is not served is a 404.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

from flask import Blueprint, Response, abort, g, redirect, request, url_for
from flask_babel import force_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from app.core import i18n
from app.core.errors import N_, BusyError
from app.core.i18n import Language
from app.site.config import SiteConfig
from app.site.guide.handouts import ZIP_NAME, Handout
from app.site.guide.models import ENGLISH, Contact, Edition, Library, page_path
from app.site.guide.outcome_files import AgencyOutcomes, outcome_values
from app.site.guide.page_frame import PageFrame
from app.site.guide.plan import PILLARS, TIMETABLES, PlanFilter, count_actions, filter_actions, to_csv, to_json
from app.site.guide.signs import Sign, read_signs

_TEMPLATES = {
    "home": "home.html",
    "help": "lines.html",
    "self-check": "self-check.html",
    "signs": "signs.html",
    "plan-actions": "plan.html",
    "outcomes": "outcomes.html",
    "sheet": "sheets.html",
    "contact": "lines.html",
}
# What a yes to each of the eight questions leads to: the style shows a step once one of its questions has a yes.
_QUESTION_STEPS = ("danger work", "danger", "danger", "work", "work", "work", "danger", "work")
_ERROR_TITLES = {
    404: N_("We cannot find that page"),
    413: N_("What you sent is too big"),
    429: N_("The site is busy"),
    503: N_("The site is busy"),
}
# What an error page says below its title where the error has no sentence of its own.
_ERROR_SENTENCES = {429: BusyError.message, 503: BusyError.message}
_OTHER_ERROR_TITLE = N_("Something went wrong")
_SECURITY_TXT_DAYS = 180


class GuideViews:
    """The guidance pages; `handouts` are the PDFs by file name, `reviewed` says which catalogues are reviewed.

    `outcomes` are the figures that agencies published.
    """

    def __init__(
        self,
        library: Library,
        site: SiteConfig,
        known: Mapping[str, Language],
        *,
        style: str,
        handouts: Mapping[str, Handout],
        reviewed: Mapping[str, bool],
        outcomes: Sequence[AgencyOutcomes],
    ) -> None:
        self._library, self._site, self._known, self._handouts = library, site, known, handouts
        self._outcomes = {one.name: one for one in outcomes}
        self.render = PageFrame(library, site, known, style=style, reviewed=reviewed).render
        english = library.editions[ENGLISH].pages["signs"]
        self._signs = {lang: read_signs(edition.pages["signs"], english) for lang, edition in library.editions.items()}

    def prerendered_paths(self) -> tuple[str, ...]:
        """Return every path whose answer never changes while the program runs; needs a request context."""
        codes, slugs = tuple(self._library.editions), tuple(self._library.editions[ENGLISH].pages)
        pdfs = [handout.stem for name, handout in self._handouts.items() if name != ZIP_NAME]
        files = ("handouts_zip", "plan_csv", "plan_json", "robots", "sitemap")
        return (
            *(url_for("guide.page", lang=code, slug=slug) for code in codes for slug in slugs),
            *(url_for("guide.handout", lang=code, name=name) for code in codes for name in pdfs),
            *(
                url_for("guide.recording", lang=code, slug=slug)
                for code, edition in self._library.editions.items()
                for slug in edition.recordings
            ),
            *(url_for("guide.outcome_file", name=name) for name in self._outcomes),
            *(url_for(f"guide.{name}") for name in files),
        )

    def signs(self, lang: str) -> tuple[Sign, ...]:
        """Return the signs that a reader of a language can tick."""
        return self._signs[lang]

    def show_error(self, status: int, sentence: str = "") -> str:
        """Return an error page in the language of the address, or of the browser; `sentence` says what to do."""
        if g.get("lang") not in self._library.editions:
            g.lang = self._preferred_language()
        title = _(_ERROR_TITLES.get(status, _OTHER_ERROR_TITLE))
        told = sentence or _ERROR_SENTENCES.get(status, "")
        return self.render("error.html", g.lang, here="", status=status, title=title, sentence=told and _(told))

    def create_blueprint(self) -> Blueprint:
        """Return the routes of the guidance pages and of the files for machines."""
        blueprint, site = Blueprint("guide", __name__), self._site
        blueprint.add_url_rule("/", "root", self._redirect_to_home)
        for slug in self._library.editions[ENGLISH].pages:
            blueprint.add_url_rule(page_path("<lang:lang>", slug), "page", self._page, defaults={"slug": slug})
        handout_rule = f"{page_path('<lang:lang>', 'sheet')}/<name>.pdf"
        blueprint.add_url_rule(handout_rule, "handout", lambda lang, name: self._handout(lang, f"{name}.pdf"))
        blueprint.add_url_rule("/<lang:lang>/audio/<slug>.mp3", "recording", self._recording)
        for name in self._outcomes:
            blueprint.add_url_rule(f"/{name}", "outcome_file", self._outcome_file, defaults={"name": name})
        files: dict[str, tuple[str, Callable[[], Response]]] = {
            "handouts_zip": (f"/{ZIP_NAME}", lambda: self._handout(ENGLISH, ZIP_NAME)),
            "plan_csv": ("/plan.csv", lambda: _file(to_csv(self._library.plan), "text/csv")),
            "plan_json": ("/plan.json", lambda: _file(to_json(self._library.plan), "application/json")),
            "robots": ("/robots.txt", lambda: _file(_robots_txt(site.base_url, demo=site.demo), "text/plain")),
            "sitemap": ("/sitemap.xml", self._sitemap),
            "security": ("/.well-known/security.txt", self._security_txt),
        }
        for endpoint, (rule, view) in files.items():
            blueprint.add_url_rule(rule, endpoint, view)
        return blueprint

    # The views.

    def _redirect_to_home(self) -> AnyResponse:
        answer = redirect(url_for("guide.page", lang=self._preferred_language(), slug="home"), 303)
        answer.headers["Vary"] = "Accept-Language"
        return answer

    def _page(self, lang: str, slug: str) -> AnyResponse | str:
        page = self._library.editions[lang].pages[slug]
        # The words around a page are in the language of the page.
        edition = self._library.editions[page.lang]
        wanted = PlanFilter(**{key: request.args.get(key, "") for key in ("pillar", "agency", "timetable", "goal")})
        if slug == "plan-actions" and request.query_string and not wanted:
            # The whole plan is prerendered without a query, and padded like every other page.
            return redirect(request.path, 303)
        with force_locale(i18n.locale_of(self._known[page.lang])):
            values = self._page_values(edition, slug, wanted)
        return self.render(
            _TEMPLATES.get(slug, "page.html"),
            lang,
            reviewed=page.review.reviewed,
            behind=page.review.stale,
            in_english=page.lang != lang,
            page=page,
            recording=edition.recordings.get(slug),
            sheet=edition.pages["sheet"].words,
            named=self._named_contacts(edition, slug),
            **values,
        )

    def _page_values(self, edition: Edition, slug: str, wanted: PlanFilter) -> dict[str, Any]:
        if slug == "plan-actions":
            return self._plan_values(wanted)
        if slug == "self-check":
            return _self_check_values(edition, self._library.editions[ENGLISH])
        if slug == "outcomes":
            return outcome_values(tuple(self._outcomes.values()))
        return self._handout_values(edition) if slug == "sheet" else {}

    def _handout(self, lang: str, name: str) -> Response:
        if lang not in self._library.editions or name not in self._handouts:
            abort(404)
        handout = self._handouts[name]
        return Response(handout.data, mimetype=handout.type)

    def _outcome_file(self, name: str) -> Response:
        return Response(self._outcomes[name].data, mimetype="application/json")

    def _recording(self, lang: str, slug: str) -> AnyResponse:
        """Return a page read aloud, or the range of bytes that a player asks for (RFC 9110, 14)."""
        recording = self._library.editions[lang].recordings.get(slug)
        if recording is None:
            abort(404)
        answer = Response(recording.data, mimetype="audio/mpeg")
        answer.headers["Accept-Ranges"] = "bytes"
        if "Range" in request.headers:
            answer.make_conditional(request, accept_ranges=True, complete_length=len(recording.data))
            answer.headers.pop("Date", None)  # the server writes the date of every answer
        return answer

    def _sitemap(self) -> Response:
        codes = tuple(self._library.editions)
        paths = [
            url_for("guide.page", lang=code, slug=slug)
            for slug in self._library.editions[ENGLISH].pages
            for code in codes
        ]
        return _file(
            _sitemap_xml(self._site.base_url, [*paths, *(url_for("report.form", lang=code) for code in codes)]),
            "application/xml",
        )

    def _security_txt(self) -> Response:
        """Return where to report a weakness (RFC 9116), valid for 180 days from now."""
        expires = (datetime.now(UTC) + timedelta(days=_SECURITY_TXT_DAYS)).strftime("%Y-%m-%dT00:00:00Z")
        text = (
            f"Contact: mailto:{self._site.contact_email}\n"
            f"Expires: {expires}\n"
            f"Preferred-Languages: {', '.join(self._library.editions)}\n"
            f"Canonical: {self._site.base_url}{url_for('guide.security')}\n"
        )
        return _file(text, "text/plain")

    # The values of the templates.

    def _plan_values(self, wanted: PlanFilter) -> dict[str, Any]:
        plan = self._library.plan
        return {
            "plan": plan,
            "wanted": wanted,
            "actions": filter_actions(plan, wanted),
            "overview": count_actions(plan),
            "pillars": {key: _(words) for key, words in PILLARS.items()},
            "timetables": {key: _(words) for key, words in TIMETABLES.items()},
            "kilobytes": {"csv": _kilobytes(to_csv(plan)), "json": _kilobytes(to_json(plan))},
        }

    def _handout_values(self, edition: Edition) -> dict[str, Any]:
        return {
            "questions": edition.pages["self-check"].words["questions"],
            "signs": edition.pages["signs"].words,
            "handouts": self._handouts,
            "not_checked": self._library.editions[ENGLISH].pages["sheet"].words["not_checked"],
        }

    def _named_contacts(self, edition: Edition, slug: str) -> tuple[Contact, ...]:
        """Return the contacts that a page names: those it links to, in this language or in English, or all of them."""
        if _TEMPLATES.get(slug) == "lines.html":
            return tuple(edition.contacts.values())
        links = edition.pages[slug].links | self._library.editions[ENGLISH].pages[slug].links
        named = {link.removeprefix("contact:").partition("#")[0] for link in links if link.startswith("contact:")}
        return tuple(contact for key, contact in edition.contacts.items() if key in named)

    def _preferred_language(self) -> str:
        return i18n.best_language(request.headers.get("Accept-Language", ""), tuple(self._library.editions))


def _self_check_values(edition: Edition, english: Edition) -> dict[str, Any]:
    """Return which questions lead to which step, the contacts of each step, and who to call in danger now."""
    words = english.pages["self-check"].words
    contacts = {step: values["contacts"] for step, values in words["steps"].items()}
    return {
        "leads": _QUESTION_STEPS,
        "steps": {step: _contacts(edition, identifiers) for step, identifiers in contacts.items()},
        "danger_contacts": _contacts(edition, words["danger_contacts"]),
    }


def _contacts(edition: Edition, identifiers: Sequence[str]) -> tuple[Contact, ...]:
    return tuple(edition.contacts[str(identifier)] for identifier in identifiers)


def _robots_txt(base_url: str, *, demo: bool) -> str:
    """Return what a crawler may read (RFC 9309): nothing of a demonstration."""
    if demo:
        return "User-agent: *\nDisallow: /\n"
    return f"User-agent: *\nDisallow: {url_for('go')}\nSitemap: {base_url}{url_for('guide.sitemap')}\n"


def _sitemap_xml(base_url: str, paths: Sequence[str]) -> str:
    """Return the addresses of all pages (sitemaps.org 0.9); each page itself links to its other languages."""
    urls = "".join(f"<url><loc>{escape(base_url + path)}</loc></url>\n" for path in paths)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
    )


def _kilobytes(text: str) -> int:
    return -(-len(text.encode()) // 1000)


def _file(text: str, mimetype: str) -> Response:
    return Response(text, mimetype=mimetype)
