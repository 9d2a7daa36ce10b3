"""The rules of HTTP that both programs keep: security headers, uploads in memory, origin and query of a request.

Each program adds its own headers and sets each header once, by assignment. The functions about requests only answer a
question; the program decides whether to refuse the request. Source of the headers: OWASP Secure Headers Project.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from typing import IO
from urllib.parse import parse_qsl

from flask import Request, request
from werkzeug.datastructures import FileStorage, ImmutableMultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Field, MultipartDecoder, Preamble

# This key of the WSGI environment holds the status with which a request was refused.
REFUSED = "haumaru.refused"
# This key holds the length, in bytes, of a body that was refused because it is too long.
REFUSED_BYTES = "haumaru.refused-bytes"
# So many bytes of a refused body are kept; the longest report without files is shorter.
WORDS_BYTES = 200_000
# The most bytes of a body without files, and of all text of a form together.
MAX_TEXT_BYTES = 500_000
_MAX_PARTS = 200
# Werkzeug's handler of decoding errors: escapes that are not UTF-8 stay unchanged.
_KEEP_ESCAPES = "werkzeug.url_quote"


class MemoryRequest(Request):
    """A request whose uploads of any size never reach a temporary file.

    If the request was refused, or its text is longer than any report, `form` holds the fields at its beginning.
    """

    max_form_memory_size = MAX_TEXT_BYTES
    max_form_parts = _MAX_PARTS

    def _load_form_data(self) -> None:
        if "form" in self.__dict__:
            return
        read_head = getattr(self.environ["wsgi.input"], "head", None)
        is_url_encoded = self.mimetype == "application/x-www-form-urlencoded"
        head = read_head(MAX_TEXT_BYTES if is_url_encoded else WORDS_BYTES) if read_head else b""
        # Werkzeug bounds neither the number nor the length of URL-encoded fields.
        if REFUSED not in self.environ and not (is_url_encoded and read_head):
            try:
                super()._load_form_data()
            except RequestEntityTooLarge:
                self.environ[REFUSED] = 413
            else:
                return
        self.__dict__["stream"] = BytesIO()
        self.__dict__["form"] = ImmutableMultiDict(fields_at_head(head, self.mimetype, self.mimetype_params))
        self.__dict__["files"] = ImmutableMultiDict[str, FileStorage]()

    def _get_file_stream(
        self,
        total_content_length: int | None,  # noqa: ARG002
        content_type: str | None,  # noqa: ARG002
        filename: str | None = None,  # noqa: ARG002
        content_length: int | None = None,  # noqa: ARG002
    ) -> IO[bytes]:
        return BytesIO()


def fields_at_head(untrusted_head: bytes, mimetype: str, options: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the text fields at the beginning of a form's body; the last field may be cut, and a file ends the search.

    Both encodings of a form are read (WHATWG URL Standard, section 5; RFC 7578). Unreadable fields are left out.
    """
    if mimetype == "application/x-www-form-urlencoded":
        # The end may be in the middle of a character's escape.
        text = re.sub(r"%[0-9A-Fa-f]?$", "", untrusted_head.decode("ascii", "ignore"))
        try:
            return parse_qsl(text, keep_blank_values=True, errors=_KEEP_ESCAPES, max_num_fields=_MAX_PARTS)
        except ValueError:
            return []
    boundary = options.get("boundary", "").encode("ascii", "ignore")
    return list(_multipart_fields(untrusted_head, boundary)) if boundary and mimetype == "multipart/form-data" else []


def _multipart_fields(untrusted_head: bytes, boundary: bytes) -> Iterator[tuple[str, str]]:
    decoder = MultipartDecoder(boundary, max_parts=_MAX_PARTS)
    decoder.receive_data(untrusted_head)
    name, value = "", b""
    # Werkzeug's decoder raises AttributeError if the bytes end directly after a part's headers.
    with suppress(ValueError, RequestEntityTooLarge, AttributeError):
        while isinstance(event := decoder.next_event(), Preamble | Field | Data):
            if isinstance(event, Field):
                name, value = event.name or "", b""
            elif isinstance(event, Data):
                value += event.data
                if not event.more_data:
                    yield name, value.decode("utf-8", "replace")
                    name = ""
    if name:
        yield name, value.decode("utf-8", "ignore")


def same_origin(origins: Sequence[str]) -> bool:
    """Return whether a page of one of `origins` sent the current request.

    `Sec-Fetch-Site` decides if the browser sends that header (W3C Fetch Metadata); otherwise `Origin` does (RFC 6454).
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
