"""Builds the public site from config: the one place where its rooms meet.

What never changes is rendered here once, before the first request. Nothing is read from a configuration file
or a variable, nothing is kept at module level; two sites may be built in one process.
"""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import time
from types import MappingProxyType
from urllib.parse import urlsplit

from flask import Flask, Response, g, request
from flask_babel import Babel
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter
from werkzeug.wrappers import Response as AnyResponse

from app.core import i18n
from app.core.errors import ConfigError, OutboxError
from app.core.log import record
from app.core.resources import ROOT
from app.delivery.destinations import open_transport
from app.delivery.forwarder import Forwarder, Rules
from app.delivery.outbox import Envelope, Outbox
from app.files import clean
from app.site.config import Config
from app.site.guide import catalogues, loader, prerender, style
from app.site.guide.handouts import SheetFile
from app.site.guide.handouts import make as make_sheets
from app.site.guide.models import Library
from app.site.guide.review import Review
from app.site.guide.views import Guide
from app.site.report.reply_views import ReplyPages
from app.site.report.steps import ReportPages
from app.site.web import security
from app.site.web.rate_limits import Rates
from app.site.web.security import Guard
from app.site.web.wsgi import PrerenderedPages
from app.text.find import load_phrases
from app.vault.age import seal
from app.vault.tip import new_decoy, tip_to_bundle
from app.web.middleware import BodyLimiter

# Beside the files there is the form's text, and what multipart adds around each part.
_BODY_MARGIN = 1_000_000
# Seconds from one delivery to the next: longer than most agencies' ends take for one.
_PACE = 1.0


@dataclass(frozen=True)
class Parts:
    """What is made once per machine and shared by its worker processes."""

    config: Config
    secret: bytes
    library: Library
    catalogues: Mapping[str, Review]
    sheets: Mapping[str, SheetFile]
    pages: Mapping[str, prerender.Rendered]


def form_secret(path: Path) -> bytes:
    """The 32 bytes that sign form tokens, made at the first start; `ConfigError` where they cannot be kept."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
    except FileExistsError:
        pass
    except OSError:
        raise ConfigError(("[server] secret_file: cannot be made; give this user the right to its folder",)) from None
    secret = path.read_bytes()
    if len(secret) != 32:  # noqa: PLR2004
        raise ConfigError(("[server] secret_file: is not 32 bytes; delete it, and it is made anew",))
    return secret


def served_languages(root: Path) -> tuple[str, ...]:
    """The languages that have content below `root`, in their order."""
    return tuple(code for code in i18n.known(root) if (root / code / "home.md").exists())


def prepare(config: Config, *, root: Path = ROOT) -> Parts:
    """Check and render everything that does not change; `ConfigError` tells what is faulty."""
    i18n.compile_catalogues(root / "translations")
    library, spoken = _library(config, root)
    sheets = make_sheets(library)
    app, guide = _frame(config, library, spoken, sheets, root)
    pages = prerender.render_all(app, guide.paths, config.site.base_url)
    secret = form_secret(config.server.secret_file)
    return Parts(config, secret, library, spoken, sheets, pages)


def build(parts: Parts, *, root: Path = ROOT, clock: Callable[[], float] = time) -> PrerenderedPages:
    """The whole site as one WSGI callable, for one process; make it after forking."""
    config = parts.config
    app, guide = _frame(config, parts.library, parts.catalogues, parts.sheets, root)
    _add_report(app, guide, parts, root, clock)
    if config.server.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=config.server.proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
    hosts = frozenset(urlsplit(origin).netloc for origin in origins(config))
    max_body = config.report.max_upload + _BODY_MARGIN
    limiter = BodyLimiter(app, hosts=hosts, bodies=config.server.bodies, max_body=max_body)
    return PrerenderedPages(limiter, pages=parts.pages, hosts=hosts)


def routes(parts: Parts, *, root: Path = ROOT) -> frozenset[str]:
    """Every method and address that the site answers, as the contract writes them."""
    app, guide = _frame(parts.config, parts.library, parts.catalogues, parts.sheets, root)
    _add_report(app, guide, parts, root, time)
    return frozenset(
        f"{method} {rule.rule.replace('<lang:lang>', '<lang>')}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    )


def forwarder(config: Config) -> Forwarder:
    """The forwarder of one process, decoys for the agency that reports are sealed to."""
    outbox = _outbox(config)
    agency = config.intake

    def decoy() -> Envelope:
        tip = new_decoy()
        return Envelope(tip.id, agency.id, seal(tip_to_bundle(tip), agency.recipients))

    return Forwarder(
        outbox,
        {one.id: open_transport(one.destination, base=config.folder) for one in config.agencies},
        Rules(window=config.forward.window, batch=config.forward.batch, padded=agency.id, pace=_PACE),
        make_decoy=decoy,
    )


def origins(config: Config) -> tuple[str, ...]:
    """Where our forms may be sent from: the site's address, its onion, and on loopback each of its names."""
    site, port = config.site, urlsplit(config.site.base_url).port
    if urlsplit(site.base_url).hostname in ("127.0.0.1", "localhost"):
        return (f"http://127.0.0.1:{port}", f"http://localhost:{port}", *site.origins[1:])
    return site.origins


def _library(config: Config, root: Path) -> tuple[Library, Mapping[str, Review]]:
    """What is served, and the review of each language's catalogue; `reviewed_only` leaves out what nobody signed."""
    codes = served_languages(root / "content")
    library, spoken = loader.load(root / "content", codes), catalogues.reviews(root / "translations", codes)
    if not config.site.reviewed_only:
        return library, spoken
    signed = library.only_reviewed()
    kept = {code: edition for code, edition in signed.editions.items() if spoken[code].reviewed}
    return replace(signed, editions=MappingProxyType(kept)), spoken


def _frame(
    config: Config,
    library: Library,
    spoken: Mapping[str, Review],
    sheets: Mapping[str, SheetFile],
    root: Path,
) -> tuple[Flask, Guide]:
    """The app with its guard and its guidance pages."""
    site = config.site
    app = Flask("app", static_folder=None, template_folder=str(Path(__file__).parent / "templates"))
    app.config.update(WTF_I18N_ENABLED=False, BABEL_TRANSLATION_DIRECTORIES=str(root / "translations"))
    app.jinja_env.undefined = StrictUndefined
    app.url_map.converters["lang"] = _language_converter(tuple(library.editions))
    known = i18n.known(root / "content")
    Babel(app, locale_selector=lambda: i18n.locale(known[g.get("lang", i18n.DEFAULT)]))
    css = style.read()
    reviewed = {code: one.reviewed for code, one in spoken.items()}
    guide = Guide(library, site, known, style=css, sheets=sheets, catalogues=reviewed)
    every = security.headers(
        exit_url=site.exit_url, style_hashes=(style.digest(css),), secure=site.secure, demo=site.demo
    )
    Guard(
        every, tuple(library.editions), exit_url=site.exit_url, onion=site.onion, show_error=guide.show_error
    ).init_app(app)
    guide.register(app)
    _add_small(app, config)
    return app, guide


def _language_converter(codes: tuple[str, ...]) -> type[BaseConverter]:
    """What `<lang:…>` in an address takes: the languages that are served, and nothing else."""

    class LanguageConverter(BaseConverter):
        regex = "|".join(codes)

    return LanguageConverter


def _outbox(config: Config) -> Outbox:
    """The outbox, told of in the log if it cannot be used now: pages are served all the same, and deliveries wait."""
    outbox = Outbox(config.outbox_url)
    try:
        outbox.prepare()
    except OutboxError as error:
        record(error)
    return outbox


def _add_report(app: Flask, guide: Guide, parts: Parts, root: Path, clock: Callable[[], float]) -> None:
    config, limits = parts.config, parts.config.limits
    rates = Rates(
        app, url=limits.url, per_address=limits.per_address, total=limits.total, workers=config.server.workers
    )
    outbox = _outbox(config)
    ReportPages(
        config,
        origins=origins(config),
        outbox=outbox,
        rates=rates,
        secret=parts.secret,
        phrases=load_phrases(root / "content"),
        clean_files=clean.clean_files,
        render=guide.render,
        clock=clock,
    ).register(app)
    ReplyPages(
        config,
        origins=origins(config),
        outbox=outbox,
        rates=rates,
        secret=parts.secret,
        render=guide.render,
        clock=clock,
    ).register(app)


def _add_small(app: Flask, config: Config) -> None:
    site = config.site

    def go() -> AnyResponse:
        # An onion service is reached without TLS, where a Secure cookie may not be kept.
        secure = site.secure and not request.host.endswith(".onion")
        return security.quick_exit(origins(config), exit_url=site.exit_url, secure=secure)

    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    def keys() -> Response:
        lines = [
            f"# {agency.name}, until {agency.expires.isoformat()}\n" + "".join(f"{key}\n" for key in agency.recipients)
            for agency in config.agencies
        ]
        return Response("\n".join(lines), mimetype="text/plain")

    app.add_url_rule("/go", "go", go, methods=["POST"])
    app.add_url_rule("/healthz", "healthz", healthz, methods=["GET"])
    app.add_url_rule("/keys.txt", "keys", keys, methods=["GET"])
