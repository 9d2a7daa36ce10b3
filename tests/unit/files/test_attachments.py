"""The parent's side: limits, refusals, what passes between parent and child, and what is left behind."""

import io
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.core.errors import BusyError, FileRefusedError
from app.files import child_process
from app.files.clean import (
    CleanedFile,
    CleanLimits,
    RefusedFile,
    clean_files,
    machine_semaphore,
    pdf_page_images,
    redact_file,
)
from app.files.protocol import (
    EXIT_CODES,
    REFUSALS,
    OutputFile,
    OutputFormat,
    RemovedKind,
    Task,
    WorkerResult,
    pack_result,
    unpack_result,
)
from tests.corpus import bombs
from tests.corpus.pictures import scene
from tests.support.paths import ROOT

REFUSED = bombs.refused()
POLYGLOTS = bombs.polyglots()


def jpeg(size=(64, 48), colour="red") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, "JPEG")
    return target.getvalue()


def pdf(pages: int) -> bytes:
    target, document = io.BytesIO(), pikepdf.new()
    for _ in range(pages):
        document.add_blank_page(page_size=(300, 200))
    document.save(target)
    return target.getvalue()


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_ends_in_a_sentence_of_its_own(name):
    """Bombs, cut, locked, empty and strange files are each refused with a code that has a sentence."""
    data, codes = REFUSED[name]
    (result,) = clean_files([data])
    assert isinstance(result, RefusedFile)
    assert result.number == 1
    assert result.code in codes
    assert result.message == REFUSALS[result.code]


@pytest.mark.parametrize("name", POLYGLOTS)
def test_a_file_that_is_two_things_comes_out_as_one(name):
    """Of a polyglot only what its first bytes say is rebuilt; the other half is gone."""
    data, mark = POLYGLOTS[name]
    assert mark in data or name == "PDF and zip"
    (result,) = clean_files([data])
    assert isinstance(result, CleanedFile)
    assert mark not in result.data
    assert b"PK\3\4" not in result.data
    assert b"<script" not in result.data


def test_bad_files_cost_the_good_ones_nothing():
    """The others pass, in their order and under their own numbers."""
    results = clean_files([jpeg(), b"", REFUSED["half a PNG"][0], b"Kia ora", REFUSED["PDF with a password"][0]])
    assert [getattr(result, "path", None) or result.code for result in results] == [
        "files/1.jpg", "empty", "damaged", "files/4.txt", "encrypted",
    ]  # fmt: skip
    assert [result.number for result in results if isinstance(result, RefusedFile)] == [2, 3, 5]


def test_no_file_is_no_work():
    """Without files nothing is started and nothing waited for."""
    assert clean_files([]) == ()


def test_too_many_files_are_refused_together():
    """Eleven files, or more bytes than allowed in all, are refused before any of them is touched."""
    with pytest.raises(FileRefusedError, match="too-many-files"):
        clean_files([b"a"] * 11)
    with pytest.raises(FileRefusedError, match="too-many-bytes"):
        clean_files([b"a" * 60, b"a" * 60], limits=CleanLimits(bytes_in=100))


def test_files_that_no_longer_fit_are_refused_by_number():
    """Cleaned files are kept as long as they fit together; a later, smaller one may still fit."""
    big, small = b"words " * 100, b"few words"
    results = clean_files([big, big, small], limits=CleanLimits(bytes_out=700))
    assert [getattr(result, "code", "kept") for result in results] == ["kept", "too-large", "kept"]


def test_a_slow_file_is_stopped_and_the_rest_are_told():
    """A file that would take minutes ends with the request's time, and no child outlives it."""
    results = clean_files([bombs.slow_text()] * 2, limits=CleanLimits(seconds=1.5))
    assert {result.code for result in results} <= {"too-slow", "no-time"}
    assert children() == []


def test_without_time_nothing_is_started():
    """Files that the clock has run out for are refused as such."""
    assert [result.code for result in clean_files([jpeg()], limits=CleanLimits(seconds=0))] == ["no-time"]


def test_a_third_request_is_told_to_come_back():
    """Two requests at a time on this machine, whoever holds them."""
    with machine_semaphore("request", 2), machine_semaphore("request", 2), pytest.raises(BusyError):
        clean_files([jpeg()])
    assert isinstance(clean_files([jpeg()])[0], CleanedFile)


def test_a_slot_is_freed_when_its_process_is_killed():
    """Slots are held across processes, and even a killed one gives its slot back."""
    code = (
        "import time\nfrom app.files.clean import machine_semaphore\n"
        "with machine_semaphore('t', 1):\n print(1, flush=True)\n time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout.readline() == b"1\n"
        with pytest.raises(BusyError), machine_semaphore("t", 1):
            pass
        other.kill()
        other.wait()
    with machine_semaphore("t", 1):
        pass


def test_children_wait_for_a_free_core():
    """While every core is taken no further child starts; the file ends as one there was no time for."""
    cores = len(os.sched_getaffinity(0))
    held = [machine_semaphore("child", cores) for _ in range(cores)]
    for one in held:
        one.__enter__()
    try:
        assert [result.code for result in clean_files([jpeg()], limits=CleanLimits(seconds=0.3))] == ["no-time"]
    finally:
        for one in held:
            one.__exit__(None, None, None)


def test_nothing_is_ever_written_to_disk():
    """Cleaning works in a process that may not write one byte to any file, and leaves no temporary file."""
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "from app.files.clean import clean_files\n"
        "files = [open(name, 'rb').read() for name in sys.argv[1:]]\n"
        "sys.exit(0 if all(hasattr(r, 'path') for r in clean_files(files)) else 3)\n"
    )
    folder = Path("/dev/shm") / f"haumaru-test-{os.getpid()}"
    folder.mkdir()
    try:
        for name, data in {"a": jpeg((3000, 2000)), "b": pdf(3), "c": b"Kia ora"}.items():
            (folder / name).write_bytes(data)
        files = sorted(map(str, folder.iterdir()))
        env = {**os.environ, "TMPDIR": str(folder)}
        done = subprocess.run([sys.executable, "-B", "-c", code, *files], cwd=ROOT, env=env, check=False)
        assert done.returncode == 0
        assert sorted(map(str, folder.iterdir())) == files
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_the_child_knows_nothing_of_its_parent():
    """Its environment is empty, its command names only the family, its files are three, its session its own."""
    with child_process._worker(Task.TEXT) as process:
        while not (environment := _read(process, "cmdline")).endswith(b"text\0"):
            time.sleep(0.01)
        assert environment.count(b"\0") == 6
        assert _read(process, "environ") == b""
        assert os.getsid(process.pid) == process.pid
    assert process.returncode is not None
    assert children() == []


def _read(process, name: str) -> bytes:
    return Path(f"/proc/{process.pid}/{name}").read_bytes()


def children() -> list[str]:
    pid = os.getpid()
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [number for listing in listed for number in listing.read_text().split()]


def test_every_exit_code_means_one_refusal():
    """Exit codes and refusals are the same closed list, clear of those that Python and signals use."""
    assert len(set(EXIT_CODES.values())) == len(REFUSALS)
    assert all(2 < number < 100 for number in EXIT_CODES.values())
    assert all(child_process._refusal_code(number) == code for code, number in EXIT_CODES.items())
    assert child_process._refusal_code(1) == "no-sandbox"
    assert child_process._refusal_code(-9) == child_process._refusal_code(-24) == "too-slow"
    assert child_process._refusal_code(-6) == "too-heavy"
    assert child_process._refusal_code(-11) == child_process._refusal_code(7) == "damaged"


def test_an_answer_is_read_back():
    """What the worker packs the parent unpacks, kinds in the order of telling."""
    answer = WorkerResult(
        (OutputFile(OutputFormat.TEXT, b"a"), OutputFile(OutputFormat.JPEG, b"\xff\xd8\xffb")),
        frozenset({RemovedKind.OTHER, RemovedKind.GPS}),
    )
    assert unpack_result(b"".join(pack_result(answer)), most_files=2) == answer
    assert answer.removed() == ("GPS position", "other metadata")


@given(st.data())
def test_no_answer_can_hurt(data):
    """Whatever a captured child writes is an answer right in every number, or refused."""
    raw = b"".join(
        pack_result(WorkerResult((OutputFile(OutputFormat.PNG, b"\x89PNG\r\n\x1a\nx"),), frozenset({RemovedKind.GPS})))
    )
    place = data.draw(st.integers(0, len(raw)))
    wrong = raw[:place] + data.draw(st.binary(max_size=12)) + raw[data.draw(st.integers(place, len(raw))) :]
    with suppress(FileRefusedError):
        (made,) = unpack_result(wrong).files
        assert made.format.matches(made.data)


def test_a_child_that_answers_in_another_form_is_not_believed():
    """A text that claims to be a video is refused, though both are forms that files may have."""
    raw = b"".join(pack_result(WorkerResult((OutputFile(OutputFormat.MP4, b"not a video"),))))
    with pytest.raises(FileRefusedError, match="damaged"):
        unpack_result(raw)


def test_pages_of_a_pdf_become_pictures():
    """The desk gets one picture a page, in order."""
    pages = pdf_page_images(pdf(3))
    assert [page.path for page in pages] == ["files/1.png", "files/2.png", "files/3.png"]
    assert all(page.type == "image/png" for page in pages)


def test_what_is_under_a_black_box_is_gone():
    """In a picture the covered pixels are black to the edge of their blocks, and the others are as they were."""
    original = scene()
    target = io.BytesIO()
    original.save(target, "PNG")
    result = redact_file(target.getvalue(), {0: [(0.5, 0.5, 0.75, 1.0)]})
    image = Image.open(io.BytesIO(result.data)).convert("RGB")
    covered = image.crop((162, 102, 238, 198)).getextrema()
    assert max(high for _, high in covered) < 12
    assert image.getpixel((20, 20))[0] > 200


def test_a_box_on_a_page_of_a_pdf_covers_that_page_only():
    """Boxes go by page, and every page is still there."""
    target = io.BytesIO()
    page = Image.new("RGB", (400, 300), "white")
    page.save(target, "TIFF", save_all=True, append_images=[page])
    (scan,) = clean_files([target.getvalue()])
    result = redact_file(scan.data, {1: [(0.0, 0.0, 1.0, 1.0)]})
    first, second = (
        Image.open(io.BytesIO(page.data)).convert("L").getextrema() for page in pdf_page_images(result.data)
    )
    assert first == (255, 255)
    assert second == (0, 0)
