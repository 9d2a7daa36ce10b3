"""The sandboxed child: `python -I -B -m app.files.worker <family>`, one file in on a pipe, one answer out.

It limits itself, loads the one family's codecs, locks itself, and only then reads a byte of the file. It writes
nothing but the answer of `kinds.pack`; why it refused is its exit code. Whatever a decoder raises ends as
"damaged": no traceback, no message, nothing of the file reaches a log.
"""

import codecs
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from app.core.errors import FileRefusedError
from app.files import sandbox
from app.files.protocol import EXITS, Answer, Family, pack

_MODULES = {
    Family.IMAGE: ("app.files.image", "rebuild"),
    Family.PDF: ("app.files.pdf", "rebuild"),
    Family.PAGES: ("app.files.pdf", "as_images"),
    Family.REDACT: ("app.files.redact", "rebuild"),
    Family.MEDIA: ("app.files.av", "rebuild"),
    Family.WAV: ("app.files.audio", "rebuild_wav"),
    Family.MP3: ("app.files.audio", "rebuild_mp3"),
    Family.DOCUMENT: ("app.files.office", "rebuild"),
    Family.TEXT: ("app.files.office", "rebuild_text"),
}


def main() -> NoReturn:
    """Do the one thing the command line names and leave."""
    family = Family(sys.argv[1])
    sandbox.limit()
    rebuild = _load(family)
    try:
        sandbox.lock()
    except OSError:
        os._exit(EXITS["no-sandbox"])
    if family is Family.PROBE:
        _write([name.encode() + b"\n" for name in sandbox.denied()])
        os._exit(0)
    os._exit(_work(rebuild))


def _load(family: Family) -> Callable[[bytes], Answer]:
    # A codec is text too: decoding UTF-16 for the first time would want to open a file.
    for name in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "cp437", "latin-1", "ascii"):
        codecs.lookup(name)
    if family is Family.PROBE:
        return lambda _: Answer(())
    module, function = _MODULES[family]
    loaded: Callable[[bytes], Answer] = getattr(importlib.import_module(module), function)
    return loaded


def _work(rebuild: Callable[[bytes], Answer]) -> int:
    try:
        _write(pack(rebuild(sys.stdin.buffer.read())))
    except FileRefusedError as refused:
        return EXITS.get(refused.code, EXITS["damaged"])
    except MemoryError:
        return EXITS["too-heavy"]
    except Exception:  # noqa: BLE001 - a decoder may raise anything at all, and nothing of it may be told
        return EXITS["damaged"]
    return 0


def _write(parts: Sequence[bytes]) -> None:
    for part in parts:
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(1, rest) :]


if __name__ == "__main__":
    main()
