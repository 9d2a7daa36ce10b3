"""Pads every page to one length, so that an observer of the network cannot tell by length which page was read.

A page is sent compressed and padded to the length of its content coding, headers included. The padding lies outside
the compressed text: empty metadata blocks in brotli, an extra header field in gzip, spaces in a plain page. Unlike a
header such padding keeps its length in HTTP/2, and every proxy passes it on.
"""

import gzip
from collections.abc import Iterable

import brotli

# Bytes of a whole answer by content coding, below the ten segments that a server sends before it waits (RFC 6928);
# plain pages are as long as answers to a POST. Browsers take gzip over plain HTTP, as from an onion service.
PADDED_LENGTHS = {"br": 12_000, "gzip": 14_000, "": 64 * 1024}
# The levels of compression that are tried until a page fits; the last takes long, and is tried only where asked for.
_LEVELS = {"br": (2, 5, 11), "gzip": (1, 6, 9)}
# This key of the WSGI environment asks for the strongest compression where a page would not fit otherwise.
MAX_EFFORT = "haumaru.max_effort"
# The longest headers that a server in front of the application adds to every answer.
_SERVER_HEADERS_LENGTH = len("date: Sun, 22 Nov 2026 00:00:00 GMT\r\nconnection: keep-alive\r\n")


def choose_coding(accept_encoding: str) -> str:
    """Return the content coding for an Accept-Encoding value: "br", "gzip", or "" for none (RFC 9110, 12.5.3)."""
    return next((coding for coding in ("br", "gzip") if coding in accept_encoding), "")


def head_length(status: str, headers: Iterable[tuple[str, str]]) -> int:
    """Return how many bytes the status line and the headers of an answer take (RFC 9112, 2.1)."""
    return (
        len(f"HTTP/1.1 {status}\r\n\r\n")
        + _SERVER_HEADERS_LENGTH
        + sum(len(name) + len(value) + 4 for name, value in headers)
    )


def pad_response(page: bytes, coding: str, *, head: int, size: int = 0, max_effort: bool = False) -> bytes:
    """Return a page in a coding, padded so that with `head` bytes of headers it has the coding's length or a multiple.

    Another length is `size`. The page is compressed with the least effort that fits; `max_effort` compresses thirty
    times as long where the page would not fit otherwise.
    """
    size = size or PADDED_LENGTHS[coding]
    if not coding:
        return page + b" " * (-(head + len(page)) % size)
    compress = _brotli if coding == "br" else _gzip
    for level in _LEVELS[coding] if max_effort else _LEVELS[coding][:-1]:
        compressed = compress(page, level)
        if head + len(compressed) <= size:
            break
    gap = -(head + len(compressed)) % size
    if coding == "br":
        # Each byte of padding is a metadata block of length 0 (RFC 7932, 9.2); the last byte ends the stream.
        return compressed[:-1] + b"\x06" * gap + compressed[-1:]
    return _pad_gzip(compressed, gap) if gap else compressed


def _brotli(page: bytes, level: int) -> bytes:
    compressor = brotli.Compressor(quality=level)
    # The flush aligns the end of the text to a whole byte.
    return bytes(compressor.process(page) + compressor.flush() + compressor.finish())


def _gzip(page: bytes, level: int) -> bytes:
    return gzip.compress(page, level, mtime=0)


def _pad_gzip(compressed: bytes, gap: int) -> bytes:
    """Return a gzip stream that is `gap` bytes longer by an extra field, or by an empty comment (RFC 1952, 2.3.1).

    A comment is used only where an extra field does not fit: Go's reader, which proxies are built with, refuses
    comments above 511 bytes.
    """
    if gap == 1:
        flag, more = 0x10, b"\0"
    else:
        flag, more = 0x04, (gap - 2).to_bytes(2, "little") + b" " * (gap - 2)
    return compressed[:3] + bytes([compressed[3] | flag]) + compressed[4:10] + more + compressed[10:]
