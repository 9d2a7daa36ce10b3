"""The sandboxed child: `python -I -B -m app.files.worker <task>`, one file in on a pipe, one result out.

The worker limits itself, loads its task's codecs, locks itself, and only then reads a byte of the file. The worker
writes nothing but the output of `protocol.pack_result`; its exit code says why a file was refused. Whatever a decoder
raises ends as "damaged": no traceback, no message and no part of the file reaches a log.
"""

import codecs
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from app.core.errors import FileRefusedError
from app.files import sandbox
from app.files.protocol import EXIT_CODES, Task, WorkerResult, pack_result

# Imported by name, so that a task loads its own codecs only.
_TASK_FUNCTIONS = {
    Task.IMAGE: ("app.files.image", "rebuild_image"),
    Task.PDF: ("app.files.pdf", "rebuild_pdf"),
    Task.PAGES: ("app.files.pdf", "pdf_to_images"),
    Task.REDACT: ("app.files.redact", "redact_boxes"),
    Task.COVER: ("app.files.redact", "page_to_cover"),
    Task.BLUR: ("app.files.faces", "blur_faces"),
    Task.MEDIA: ("app.files.av", "rebuild_media"),
    Task.ENCODE: ("app.files.encode", "encode_media"),
    Task.VOICE: ("app.files.encode", "mask_voice"),
    Task.WAV: ("app.files.audio", "rebuild_wav"),
    Task.MP3: ("app.files.audio", "rebuild_mp3"),
    Task.DOCUMENT: ("app.files.office", "rebuild_document"),
    Task.UNPACK: ("app.files.archives", "unpack_archive"),
    Task.TEXT: ("app.files.plain_text", "rebuild_text"),
}
# Pages may take as long as there is on the clock, and encoding takes its time; other tasks have `sandbox.CPU_SECONDS`.
CPU_SECONDS = {
    Task.ENCODE: 90, Task.VOICE: 90, Task.PDF: 29, Task.PAGES: 58, Task.REDACT: 58, Task.COVER: 58, Task.BLUR: 58,
}  # fmt: skip
_LONG_TASKS = {Task.ENCODE, Task.VOICE}
_LONG_TASK_NICE = 10
_TEXT_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "cp437", "latin-1", "ascii")


def main() -> NoReturn:
    """Do the task that the command line names, and exit with 0 or one of `protocol.EXIT_CODES`."""
    task = Task(sys.argv[1])
    sandbox.set_limits(CPU_SECONDS.get(task, sandbox.CPU_SECONDS))
    if task in _LONG_TASKS:
        with contextlib.suppress(OSError):  # where a filter forbids the call, the recording matters more than the turn
            os.nice(_LONG_TASK_NICE)  # a photograph that comes meanwhile gets the processor first
    run_task = _load_task(task)
    try:
        sandbox.lock_process()
    except OSError:
        os._exit(EXIT_CODES["no-sandbox"])
    if task is Task.PROBE:
        _write([name.encode() + b"\n" for name in sandbox.denied_attempts()])
        os._exit(0)
    os._exit(_run(run_task))


def _load_task(task: Task) -> Callable[[bytes], WorkerResult]:
    # Python loads a text encoding from a file when the encoding is first used; after the lock that is too late.
    for encoding in _TEXT_ENCODINGS:
        codecs.lookup(encoding)
    if task is Task.PROBE:
        return lambda _: WorkerResult(())
    # Every further thread of the library below numpy would take memory of its own.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    name, function = _TASK_FUNCTIONS[task]
    module = importlib.import_module(name)
    if hasattr(module, "prepare"):  # what the module's libraries read from files when they are first used
        module.prepare()
    loaded: Callable[[bytes], WorkerResult] = getattr(module, function)
    return loaded


def _run(run_task: Callable[[bytes], WorkerResult]) -> int:
    try:
        untrusted_file = sys.stdin.buffer.read()
        _write(pack_result(run_task(untrusted_file)))
    except FileRefusedError as refused:
        return EXIT_CODES.get(refused.code, EXIT_CODES["damaged"])
    except MemoryError:
        return EXIT_CODES["too-heavy"]
    except Exception:  # noqa: BLE001 - a decoder may raise anything, and no part of it may be shown
        return EXIT_CODES["damaged"]
    return 0


def _write(chunks: Sequence[bytes]) -> None:
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(1, rest) :]


if __name__ == "__main__":
    main()
