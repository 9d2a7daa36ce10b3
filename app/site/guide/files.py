"""The small files that machines ask a site for: robots.txt, sitemap.xml, security.txt."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

_SECURITY_DAYS = 180


def robots(base_url: str, *, demo: bool) -> str:
    """What a crawler may read (RFC 9309): of a demonstration nothing."""
    if demo:
        return "User-agent: *\nDisallow: /\n"
    return f"User-agent: *\nDisallow: /go\nSitemap: {base_url}/sitemap.xml\n"


def sitemap(base_url: str, hrefs: Iterable[str]) -> str:
    """Every page's address; which of them are the same page in another language, each page says itself."""
    urls = "".join(f"<url><loc>{escape(base_url + href)}</loc></url>\n" for href in hrefs)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
    )


def security(contact_email: str, base_url: str, codes: Sequence[str]) -> str:
    """Whom to tell of a weakness (RFC 9116); it is good for 180 days from now."""
    expires = (datetime.now(UTC) + timedelta(days=_SECURITY_DAYS)).strftime("%Y-%m-%dT00:00:00Z")
    return (
        f"Contact: mailto:{contact_email}\n"
        f"Expires: {expires}\n"
        f"Preferred-Languages: {', '.join(codes)}\n"
        f"Canonical: {base_url}/.well-known/security.txt\n"
    )
