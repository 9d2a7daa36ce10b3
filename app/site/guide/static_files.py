"""Writes the prerendered pages as files, for the proxy in front of the site or for a mirror.

The files are the program's own answers, byte for byte in each content coding, and `nginx.conf` beside them adds the
headers of those answers. There is no form among the files, and no page that depends on who asks. A proxy that serves
these files serves the guidance while the site is down. `haproxy/` says which addresses have a file, under which names
the site answers, where the way out leads, and what a visitor reads, in each language, whom the proxy refuses.
"""

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import ConfigError
from app.site.guide.models import Edition
from app.site.web.wsgi import CODINGS, PrerenderedAnswer

# The ends of file names by content coding, as web servers look for them (ngx_http_gzip_static_module and its like).
_SUFFIXES = {"br": ".br", "gzip": ".gz", "": ""}
_PAGES, _MAPS, _NGINX = "pages", "haproxy", "nginx.conf"
# Headers that nginx makes itself, from the file and from its own configuration.
_NGINX_OWN = frozenset({"Content-Type", "Content-Length", "Server", "Accept-Ranges"})
# A map of HAProxy for each content coding.
_MAP_NAMES = {"br": "br.map", "gzip": "gzip.map", "": "plain.map"}


@dataclass(frozen=True)
class StaticSite:
    """What is written.

    `pages` are the answers by path, `hosts` the names that the site answers under, `exit_url` is where the way out
    leads, and `languages` are the codes by language tag, in small letters (RFC 5646). `refused` is, by code, what the
    proxy says where it refuses a request.
    """

    pages: Mapping[str, PrerenderedAnswer]
    hosts: Collection[str]
    exit_url: str
    languages: Mapping[str, str]
    refused: Mapping[str, str]


def refused_sentences(editions: Mapping[str, Edition]) -> dict[str, str]:
    """Return by language what the proxy says where it refuses a request: not sent, and whom to call in danger."""
    return {
        code: " ".join(edition.safety[name].striptags() for name in ("not-sent", "emergency"))
        for code, edition in editions.items()
    }


def write_static(folder: Path, site: StaticSite) -> int:
    """Write `folder` anew and return how many files it has; `ConfigError` if it holds anything else.

    The new folder takes the place of the old one when it is whole, so that a failure leaves the old one.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / _MAPS).is_dir():
        raise ConfigError((f"--static: {folder} holds other files; name a new folder",))
    new, old = (folder.with_name(f".{folder.name}.{name}") for name in ("new", "old"))
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    new.mkdir(parents=True)
    count = _write(new, site)
    # The proxy's own users read them, whatever the mask of whoever writes: these are pages for everybody.
    for path in (new, *new.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return count


def _write(folder: Path, site: StaticSite) -> int:
    maps: dict[str, list[str]] = {coding: [] for coding in CODINGS}
    locations: dict[str, str] = {}
    count = 0
    for path, answer in site.pages.items():
        name = _file_name(path, answer)
        for coding in CODINGS:
            headers, body, used = answer.coded(coding)
            file = name + _SUFFIXES[used]
            maps[coding].append(f"{path} /{file}\n")
            if used != coding:
                continue
            target = folder / _PAGES / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
            count += 1
            _add_location(locations, target, headers)
    (folder / _NGINX).write_text("".join(locations.values()), encoding="utf-8")
    settings = {
        **{_MAP_NAMES[coding]: "".join(lines) for coding, lines in maps.items()},
        "hosts.lst": "".join(f"{host}\n" for host in sorted(site.hosts)),
        "site.map": f"exit_url {site.exit_url}\n",
        "languages.map": "".join(f"{tag} {code}\n" for tag, code in sorted(site.languages.items())),
        "refused.map": "".join(f"{code} {' '.join(words.split())}\n" for code, words in sorted(site.refused.items())),
    }
    (folder / _MAPS).mkdir()
    for name, text in settings.items():
        (folder / _MAPS / name).write_text(text, encoding="utf-8")
    return count


def _file_name(path: str, answer: PrerenderedAnswer) -> str:
    """Return the name of the plain file of a path; a page's own path has no extension."""
    name = path.removeprefix("/")
    if dict(answer.headers)["Content-Type"].startswith("text/html"):
        return f"{name}index.html" if path.endswith("/") else f"{name}.html"
    return name


def _add_location(locations: dict[str, str], target: Path, headers: list[tuple[str, str]]) -> None:
    """Add the block of nginx for the files that end like `target`; AssertionError if two of them differ in headers."""
    end = "".join(target.suffixes)
    kept = "".join(f'    add_header {name} "{_quoted(value)}";\n' for name, value in headers if name not in _NGINX_OWN)
    pattern, content_type = end.replace(".", "\\."), _quoted(dict(headers)["Content-Type"])
    # An empty Last-Modified is none: when the files were written is nobody's business.
    # nginx answers a range of bytes itself, and says so; other files are sent whole (`max_ranges 0` of nginx.conf).
    ranges = "    max_ranges 1;\n" if dict(headers).get("Accept-Ranges") == "bytes" else ""
    own = f'    types {{ }}\n    default_type "{content_type}";\n    add_header Last-Modified "";\n'
    block = f'location ~ "{pattern}$" {{\n{own}{ranges}{kept}}}\n'
    if locations.setdefault(end, block) != block:
        raise AssertionError(f"files that end in {end} have different headers")


def _quoted(value: str) -> str:
    """Return a header's value within double quotes of nginx; AssertionError for a sign that nginx would read."""
    if any(sign in value for sign in '"\\$\n{}'):
        raise AssertionError(f"a header that nginx would change: {value}")
    return value
