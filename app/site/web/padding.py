"""One length for every page, so that whoever watches the network cannot tell by it which one was read.

A page leaves compressed and filled up to its coding's class, headers included. The filling lies outside the
compressed text: in brotli as blocks that hold nothing, in gzip as an extra field of its header, and plain as spaces.
Unlike a header it keeps its length in HTTP/2, and passes through any proxy.
"""

import gzip
from collections.abc import Iterable

import brotli

# Bytes of a whole answer, each below the ten segments that a server sends unasked (RFC 6928); plain pages are as
# long as answers to a POST. Gzip is what browsers take over plain http, an onion service's too.
CLASSES = {"br": 12_000, "gzip": 14_000, "": 64 * 1024}
# Under this key a request asks for a page to be made to fit, whatever time it takes.
BEST = "haumaru.best"
# What a server in front of the app adds to every answer, the longest of them.
_ADDED = len("date: Sun, 22 Nov 2026 00:00:00 GMT\r\nconnection: keep-alive\r\n")


def choose(accept_encoding: str) -> str:
    """The content coding for a browser: "br", "gzip", or "" for none (RFC 9110, 12.5.3)."""
    return next((coding for coding in ("br", "gzip") if coding in accept_encoding), "")


def head(status: str, headers: Iterable[tuple[str, str]]) -> int:
    """How many bytes an answer's status line and headers take (RFC 9112, 2.1)."""
    return len(f"HTTP/1.1 {status}\r\n\r\n") + _ADDED + sum(len(name) + len(value) + 4 for name, value in headers)


def fill(page: bytes, coding: str, *, head: int, best: bool = False) -> bytes:
    """A page in a coding, filled so that with `head` bytes of headers it is its class long, or a multiple of that.

    `best` takes thirty times as long where a page would not fit otherwise.
    """
    size = CLASSES[coding]
    if not coding:
        return page + b" " * (-(head + len(page)) % size)
    shrink = _brotli if coding == "br" else _gzip
    small = shrink(page, best=False)
    if best and head + len(small) > size:
        small = shrink(page, best=True)
    gap = -(head + len(small)) % size
    if coding == "br":
        # Each of these bytes is a block of metadata without any (RFC 7932, 9.2); the last byte ends the stream.
        return small[:-1] + b"\x06" * gap + small[-1:]
    return _with_extra(small, gap) if gap else small


def _brotli(page: bytes, *, best: bool) -> bytes:
    compressor = brotli.Compressor(quality=11 if best else 5)
    # A flush ends the text at a whole byte.
    return bytes(compressor.process(page) + compressor.flush() + compressor.finish())


def _gzip(page: bytes, *, best: bool) -> bytes:
    return gzip.compress(page, 9 if best else 6, mtime=0)


def _with_extra(small: bytes, gap: int) -> bytes:
    """A gzip stream with `gap` bytes more: an extra field, or where one has no room an empty comment (RFC 1952, 2.3.1).

    Not a long comment: Go's reader, which proxies are built with, takes none above 511 bytes.
    """
    if gap == 1:
        flag, more = 0x10, b"\0"
    else:
        flag, more = 0x04, (gap - 2).to_bytes(2, "little") + b" " * (gap - 2)
    return small[:3] + bytes([small[3] | flag]) + small[4:10] + more + small[10:]
