"""Looks for marks wherever a file could hold them: raw, as exiftool reads it, and in all that can be unpacked."""

import io
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress

import pikepdf

_ZLIB_HEADS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_TAGS = ["exiftool", "-a", "-u", "-U", "-ee", "-G1", "-s", "-n", "-"]


def everywhere(data: bytes) -> bytes:
    """All that can be read out of a file, in one string of bytes."""
    parts = [data, _of_exiftool(data), *_wide(data), *_inflated(data), *_unzipped(data), *_of_pdf(data)]
    # UTF-16 in any order, and text that zeros keep apart.
    return b"\n".join(form for part in parts for form in (part, part.replace(b"\0", b"")))


def _wide(data: bytes) -> Iterator[bytes]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield data.decode("utf-16", "replace").encode()


def _of_exiftool(data: bytes) -> bytes:
    return subprocess.run(_TAGS, input=data, capture_output=True, check=False, timeout=60).stdout


def _inflated(data: bytes) -> Iterator[bytes]:
    for head in _ZLIB_HEADS:
        at = data.find(head)
        while at >= 0:
            with suppress(zlib.error):
                yield zlib.decompressobj().decompress(data[at:], 4_000_000)
            at = data.find(head, at + 1)


def _unzipped(data: bytes) -> Iterator[bytes]:
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield archive.comment
        for name in archive.namelist():
            yield name.encode()
            yield archive.read(name)


def _of_pdf(data: bytes) -> Iterator[bytes]:
    if not data.startswith(b"%PDF"):
        return
    with pikepdf.open(io.BytesIO(data)) as document:
        yield b"".join(bytes(part) for part in document.trailer.get("/ID", ()))
        for thing in document.objects:
            yield thing.unparse(resolved=True)
            yield from _strings(thing)
            if isinstance(thing, pikepdf.Stream):
                with suppress(pikepdf.PdfError):
                    yield thing.read_bytes()
                yield thing.read_raw_bytes()


def _strings(thing: object, depth: int = 0) -> Iterator[bytes]:
    if isinstance(thing, pikepdf.String):
        yield str(thing).encode()
    elif depth < 6 and isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
        for key in thing.keys():  # noqa: SIM118 - no plain dict
            yield from _strings(thing[key], depth + 1)
    elif depth < 6 and isinstance(thing, pikepdf.Array):
        for part in thing:
            yield from _strings(part, depth + 1)
