"""The rules of HTTP that both programs keep: security headers, uploads in memory, origin and query of a request.

Each program adds its own headers and sets each header once, by assignment. The functions about requests answer a
question and refuse nothing themselves: the program decides. Source of the headers: OWASP Secure Headers Project.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import IO

from flask import Request, request


class MemoryRequest(Request):
    """A request whose uploads never reach a temporary file, whatever their size."""

    max_form_memory_size = 500_000
    max_form_parts = 200

    def _get_file_stream(
        self,
        total_content_length: int | None,  # noqa: ARG002
        content_type: str | None,  # noqa: ARG002
        filename: str | None = None,  # noqa: ARG002
        content_length: int | None = None,  # noqa: ARG002
    ) -> IO[bytes]:
        return BytesIO()


def same_origin(origins: Sequence[str]) -> bool:
    """Return whether a page of one of `origins` sent the current request.

    `Sec-Fetch-Site` decides where the browser sends it (W3C Fetch Metadata); otherwise `Origin` does (RFC 6454).
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    return request.headers.get("Origin") in origins


def is_query(untrusted_text: str) -> bool:
    """Return whether a browser may have sent this query (RFC 3986, 3.4); Werkzeug cannot decode every other text."""
    return untrusted_text.isascii() and untrusted_text.isprintable()


def content_security_policy(directives: Mapping[str, str]) -> str:
    """Return a Content-Security-Policy that allows nothing but `directives` (W3C CSP level 3)."""
    every = {"default-src": "'none'", **directives, "frame-ancestors": "'none'", "base-uri": "'none'"}
    return "; ".join(f"{name} {value}" for name, value in every.items())


def security_headers(policy: Mapping[str, str], *, permissions: str) -> dict[str, str]:
    """Return the headers of every answer; `policy` holds CSP directives, `permissions` the Permissions-Policy."""
    return {
        "Content-Security-Policy": content_security_policy(policy),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": permissions,
        "X-DNS-Prefetch-Control": "off",
        "Cache-Control": "no-store",
    }
