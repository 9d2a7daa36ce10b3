"""The address of the site as handouts show it: as a short text, and as a QR code for the camera of a phone.

Only an address that a reader can open is printed. A demonstration has an address of its own computer, and examples of
the documentation have addresses that belong to nobody: their handouts show no address and no code.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

# Endings of names that no reader elsewhere can open (RFC 6761, 6762, 8375, and ICANN's "internal").
_UNREACHABLE = ("localhost", "test", "invalid", "local", "internal", "arpa", "onion")


@dataclass(frozen=True)
class HandoutAddress:
    """The address in one language: `url` in full, `short` as a person types it, `code` as a QR code in SVG."""

    url: str
    short: str
    code: str


def is_printable_host(host: str) -> bool:
    """Return whether paper may show a host: a public name, and neither an address in numbers nor an example."""
    labels = host.lower().rstrip(".").split(".")
    if len(labels) == 1 or labels[-1] in _UNREACHABLE or "example" in labels:
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def make_address(base_url: str, lang: str) -> HandoutAddress | None:
    """Return the address of the site in a language, or None where paper may not show the host of `base_url`.

    The QR code (ISO/IEC 18004) corrects errors of level M, 15 %, and has its white border of four modules.
    """
    parts = urlsplit(base_url)
    if not is_printable_host(parts.hostname or ""):
        return None
    import segno  # noqa: PLC0415  # only a site with an address of its own needs it

    url = f"{base_url.rstrip('/')}/{lang}/"
    drawn = segno.make_qr(url, error="m", boost_error=False)
    return HandoutAddress(
        url=url,
        short=f"{parts.netloc}{parts.path.rstrip('/')}/{lang}/",
        code=drawn.svg_inline(border=4, omitsize=True),
    )
