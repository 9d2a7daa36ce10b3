"""What both programs ask of a request: uploads stay in memory, the query is plain, the origin is our own.

Nothing here knows a page. Refuses nothing by itself: each function answers a question, and the program decides.
"""

from collections.abc import Sequence
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
