"""Builds the public site and its forwarder from a configuration.

Pages that never change are rendered once, in `prerender_site`; `build_site` makes the WSGI application of one process.
Nothing here reads a file of configuration or an environment variable, and no state is kept in the module: two sites
can be built in one process.
"""

import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, g, request
from flask_babel import Babel
from jinja2 import StrictUndefined
from markupsafe import Markup
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter
from werkzeug.wrappers import Response as AnyResponse

from app.core import i18n
from app.core.catalogues import compile_catalogues
from app.core.durable import create_once
from app.core.errors import ConfigError, OutboxError
from app.core.log import log_error
from app.core.resources import ROOT
from app.delivery.clock import nz_day
from app.delivery.destinations import open_transport
from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.memory_redis import RedisMemoryStore
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.memory_store import MemoryStore
from app.delivery.outbox import Outbox
from app.delivery.pace import Pace
from app.files.clean import CleanLimits
from app.files.turns import FileTurns, film_turns
from app.files.uploads import clean_uploads
from app.site.agencies import new_stock_decoy, published_keys
from app.site.config import Config, MemoryConfig
from app.site.guide.editions import load_editions
from app.site.guide.english_sentences import mark_untranslated
from app.site.guide.handouts import Handout, make_handouts
from app.site.guide.models import Library, Review, page_path
from app.site.guide.outcome_files import AgencyOutcomes, read_outcome_files
from app.site.guide.prerender import csp_hash, minified_stylesheet, render_all
from app.site.guide.static_files import StaticSite, refused_sentences, write_static
from app.site.guide.views import GuideViews
from app.site.preload import preload_app, preload_tables
from app.site.report.access import SharedDerivations
from app.site.report.held import HeldTipStore
from app.site.report.reply_views import ReplyViews
from app.site.report.report_views import ReportViews
from app.site.report.responses import ReportContext
from app.site.web.exit_cookie import ExitCookie
from app.site.web.rate_limits import RateLimits, WordsPace
from app.site.web.security import SecurityExtension, response_headers
from app.site.web.wsgi import PrerenderedAnswer, PrerenderedPages
from app.text.phrases import PhraseTrie, load_phrases
from app.web.middleware import BodyLimiter, BodyRoom
from app.web.network_shares import NetworkShares, share_names
from app.web.networks import NetworkReader

# Bytes of a request beside its files: the text of the form, and what multipart adds around each part.
_BODY_MARGIN = 1_000_000
# Of the room for held tips one network may fill this share, counted in each worker by itself.
_SHARE_OF_HELD = 0.25
# For which an upload waits for memory before it is read.
_PATIENCE_SECONDS = 30.0
SCHEMA_REMEDIES = {
    "schema-older": "an earlier version made this database; let that version deliver what waits, then name a new one",
    "schema-newer": "a later version made this database; install that version, or name a new one",
}


@dataclass(frozen=True)
class Prerendered:
    """Everything that is made once, before the worker processes are forked, and that they share."""

    config: Config
    secret: bytes
    library: Library
    catalogue_reviews: Mapping[str, Review]
    handouts: Mapping[str, Handout]
    outcomes: tuple[AgencyOutcomes, ...]
    phrases: PhraseTrie
    pages: Mapping[str, PrerenderedAnswer]


def form_secret(path: Path) -> bytes:
    """Return the 32 bytes that sign form tokens, made at the first start; `ConfigError` if they cannot be kept."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_once(path, secrets.token_bytes(32))
    except FileExistsError:
        pass
    except OSError:
        raise ConfigError(("[server] secret_file: cannot be made; give this user the right to its folder",)) from None
    secret = path.read_bytes()
    if len(secret) != 32:  # noqa: PLR2004
        raise ConfigError(("[server] secret_file: is not 32 bytes; delete it, and it is made again",))
    return secret


def open_memory_store(config: MemoryConfig) -> MemoryStore:
    """Return the memory store of one process, which need not be there yet; call it after forking."""
    return SqliteMemoryStore(config.folder) if config.folder else RedisMemoryStore(config.url)


def require_schema(config: Config) -> None:
    """Raise ConfigError if the database is of another version; other faults of a database may pass by themselves."""
    outbox = Outbox(config.outbox_url)
    try:
        outbox.prepare()
    except OutboxError as error:
        if error.code in SCHEMA_REMEDIES:
            raise ConfigError((f"[outbox] url: {SCHEMA_REMEDIES[error.code]}",)) from None
    finally:
        outbox.database.close()


def prerender_site(config: Config, *, root: Path = ROOT, phrases: PhraseTrie | None = None) -> Prerendered:
    """Check the content and render everything that does not change; `ConfigError` with every fault."""
    return render_guide(config, form_secret(config.server.secret_file), root=root, phrases=phrases)


def render_guide(config: Config, secret: bytes, *, root: Path = ROOT, phrases: PhraseTrie | None = None) -> Prerendered:
    """Return what `prerender_site` returns, with any 32 bytes as the secret: no guidance page depends on them.

    The phrases are those of `root` where none are given.
    """
    compile_catalogues(root / "translations")
    library, catalogue_reviews = load_editions(config, root)
    with ThreadPoolExecutor(1) as aside:  # handouts are made by a library that leaves this thread running
        handouts = aside.submit(make_handouts, library, "" if config.site.demo else config.site.base_url)
        phrases = phrases or load_phrases(root / "content")
    prerendered = Prerendered(
        config=config,
        secret=secret,
        library=library,
        catalogue_reviews=catalogue_reviews,
        handouts=handouts.result(),
        outcomes=read_outcome_files(config.content, config.report_agencies, nz_day(time()))[0],
        phrases=phrases,
        pages={},
    )
    preload_tables()
    app, guide = _create_app(prerendered, root, time)
    # Every page links to the forms, whose views are added later, with the database.
    for name, endpoint in (("report", "report.form"), ("reply", "report.reply")):
        app.add_url_rule(page_path("<lang:lang>", name), endpoint, build_only=True)
    with app.test_request_context():
        paths = guide.prerendered_paths()
    return replace(prerendered, pages=render_all(app, paths, config.site.base_url))


def build_site(prerendered: Prerendered, *, root: Path = ROOT, clock: Callable[[], float] = time) -> PrerenderedPages:
    """Return the WSGI application of one process; call it after forking, because it opens the database."""
    server, report = prerendered.config.server, prerendered.config.report
    room = BodyRoom(threads=server.threads, memory=server.body_memory)
    app = create_site_app(prerendered, room, root=root, clock=clock)
    hosts = host_names(prerendered.config)
    visitors = NetworkReader(clock=clock)
    limiter: Any = BodyLimiter(
        app,
        hosts=hosts,
        room=room,
        max_body=report.max_upload + _BODY_MARGIN,
        networks=lambda environ: share_names(visitors.of_environ(environ)),
        patience=_PATIENCE_SECONDS,
    )
    if server.proxies:  # outermost, so that bodies are shared among visitors, not proxies
        limiter = ProxyFix(limiter, x_for=server.proxies, x_proto=0, x_host=0)
    return PrerenderedPages(limiter, pages=prerendered.pages, hosts=hosts)


def create_site_app(
    prerendered: Prerendered, room: BodyRoom, *, root: Path = ROOT, clock: Callable[[], float] = time
) -> Flask:
    """Return the Flask application with every route of the site, without the middleware in front of it."""
    app, guide = _create_app(prerendered, root, clock)
    _add_report(app, guide, prerendered, room, clock=clock)
    preload_app(app, prerendered.library.editions)
    return app


def build_forwarder(config: Config) -> Forwarder:
    """Return the forwarder of one process; each agency that reports can be sealed to has a stock of decoys."""
    outbox = _open_outbox(config, open_memory_store(config.memory))
    agencies = {agency.id: agency for agency in config.report_agencies}
    pace = Pace(cells=config.forward.cells, stock=config.forward.stock)
    return Forwarder(
        outbox,
        {one.id: open_transport(one.destination, base=config.folder) for one in config.agencies},
        ForwardRules(window=config.forward.window, paces=dict.fromkeys(agencies, pace)),
        make_decoy=lambda agency: new_stock_decoy(agencies[agency], time()),
    )


def origins(config: Config) -> tuple[str, ...]:
    """Return the origins of our own forms (RFC 6454): the site's, its onion's, and both names of loopback."""
    site, port = config.site, urlsplit(config.site.base_url).port
    if urlsplit(site.base_url).hostname in ("127.0.0.1", "localhost"):
        return (f"http://127.0.0.1:{port}", f"http://localhost:{port}", *site.origins[1:])
    return site.origins


def host_names(config: Config) -> frozenset[str]:
    """Return the values of Host under which the site answers (RFC 9110, 7.2)."""
    return frozenset(urlsplit(origin).netloc for origin in origins(config))


def build_static(config: Config, folder: Path) -> int:
    """Write the guidance pages as files into `folder` and return how many; `ConfigError` with every fault."""
    rendered = render_guide(config, secrets.token_bytes(32))
    editions, exit_url = rendered.library.editions, config.site.exit_url
    languages, refused = i18n.codes_by_tag(editions), refused_sentences(editions)
    return write_static(folder, StaticSite(rendered.pages, host_names(config), exit_url, languages, refused))


def _create_app(prerendered: Prerendered, root: Path, clock: Callable[[], float]) -> tuple[Flask, GuideViews]:
    """Return the application with its security headers and its guidance pages."""
    config, library = prerendered.config, prerendered.library
    site, codes = config.site, tuple(library.editions)
    app = Flask("app", static_folder=None, template_folder=str(Path(__file__).parent / "templates"))
    app.config.update(WTF_I18N_ENABLED=False, BABEL_TRANSLATION_DIRECTORIES=str(root / "translations"))
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.filters["untranslated"] = _untranslated
    app.url_map.converters["lang"] = _language_converter(codes)
    known = i18n.known_languages(root / "content")
    Babel(app, locale_selector=lambda: i18n.locale_of(known[g.get("lang", i18n.DEFAULT)]))
    mark_untranslated(app, codes)
    style = minified_stylesheet()
    reviewed = {code: review.reviewed for code, review in prerendered.catalogue_reviews.items()}
    files, figures = prerendered.handouts, prerendered.outcomes
    guide = GuideViews(library, site, known, style=style, handouts=files, reviewed=reviewed, outcomes=figures)
    headers = response_headers(
        exit_url=site.exit_url, style_hashes=(csp_hash(style),), secure=site.secure, demo=site.demo
    )
    exit_cookie = ExitCookie(prerendered.secret, site.exit_url, clock=clock)
    extension = SecurityExtension(
        headers, codes, exit_cookie=exit_cookie, onion=site.onion, show_error=guide.show_error
    )
    extension.init_app(app)
    app.register_blueprint(guide.create_blueprint())
    _add_service_routes(app, config, exit_cookie)
    return app, guide


def _language_converter(codes: tuple[str, ...]) -> type[BaseConverter]:
    """Return the converter of `<lang:…>` in a rule, which accepts the served languages and nothing else."""

    class LanguageConverter(BaseConverter):
        regex = "|".join(codes)

    return LanguageConverter


def _open_outbox(config: Config, memory: MemoryStore) -> Outbox:
    """Return the outbox; a database that cannot be used now is logged, pages are served, and deliveries wait."""
    outbox = Outbox(config.outbox_url, memory)
    try:
        outbox.prepare()
    except OutboxError as error:
        log_error(error, at_once=True)
    return outbox


def _rate_limits(config: Config, clock: Callable[[], float]) -> RateLimits:
    return RateLimits(
        url=config.limits.url,
        per_address=config.limits.per_address,
        workers=config.server.workers,
        pace=WordsPace(cells=config.forward.cells, window=config.forward.window),
        clock=clock,
    )


def _add_report(
    app: Flask, guide: GuideViews, prerendered: Prerendered, room: BodyRoom, *, clock: Callable[[], float]
) -> None:
    config, rates = prerendered.config, _rate_limits(prerendered.config, clock)
    memory, visitors = open_memory_store(config.memory), NetworkReader(clock=clock)
    outbox = _open_outbox(config, memory)
    file_limits = CleanLimits(bytes_in=config.report.max_upload)
    turns, films = FileTurns(), film_turns()
    context = ReportContext(
        config=config,
        origins=origins(config),
        outbox=outbox,
        held=HeldTipStore(
            memory,
            outbox,
            share=_SHARE_OF_HELD / config.server.workers,
            draw=visitors.draw,
            room=room.memory,
            agencies=len(config.report_agencies),
        ),
        rates=rates,
        secret=prerendered.secret,
        phrases=prerendered.phrases,
        clean_files=partial(clean_uploads, limits=file_limits, turns=turns, films=films),
        turns=turns,
        films=films,
        waiting=NetworkShares(config.server.threads // 4, draw=visitors.draw),
        memory=room.memory,
        visitors=visitors,
        signs=guide.signs,
        render=guide.render,
        clock=clock,
    )
    blueprint = Blueprint("report", __name__)
    sending = SharedDerivations(context)
    ReportViews(context, sending).add_to(blueprint)
    ReplyViews(context, sending).add_to(blueprint)
    app.register_blueprint(blueprint)


def _add_service_routes(app: Flask, config: Config, exit_cookie: ExitCookie) -> None:
    """Add the way out, the health check, and the agencies' public keys."""
    site = config.site

    def go() -> AnyResponse:
        # An onion service is reached without TLS, where a Secure cookie may not be kept.
        secure = site.secure and not request.host.endswith(".onion")
        return exit_cookie.leave(origins(config), secure=secure)

    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    def keys() -> Response:
        return Response("\n".join(published_keys(one, time()) for one in config.agencies), mimetype="text/plain")

    app.add_url_rule("/go", "go", go, methods=["POST"])
    app.add_url_rule("/healthz", "healthz", healthz, methods=["GET"])
    app.add_url_rule("/keys.txt", "keys", keys, methods=["GET"])


def _untranslated(name: str) -> Markup:
    """Return a name in an element that a browser's own translation leaves as it is."""
    return Markup('<span translate="no">%s</span>') % name
