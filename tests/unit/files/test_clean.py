"""Cleaning as a whole: limits, refusals, and nothing on disk."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

from app.core.errors import FileRefusedError
from app.files.clean import CleanedFile, CleanLimits, RefusedFile, clean_files, pdf_page_images
from app.files.protocol import REFUSALS
from tests.corpus import bombs
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


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_is_refused_with_its_own_sentence(name):
    """Bombs, truncated, encrypted, empty and unknown files are each refused with a code that has a sentence."""
    (result,) = clean_files([REFUSED[name].make()])
    assert isinstance(result, RefusedFile)
    assert result.number == 1
    assert result.code in REFUSED[name].codes
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


def test_bad_files_leave_the_good_ones_alone():
    """The others pass, in their order and under their own numbers."""
    half, locked = REFUSED["half a PNG"].make(), REFUSED["PDF with a password"].make()
    results = clean_files([jpeg(), b"", half, b"Kia ora", locked])
    assert [getattr(result, "path", None) or result.code for result in results] == [
        "files/1.jpg", "empty", "damaged", "files/4.txt", "encrypted",
    ]  # fmt: skip
    assert [result.number for result in results if isinstance(result, RefusedFile)] == [2, 3, 5]


def test_without_files_nothing_is_started():
    """Without files the result is empty."""
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


@pytest.mark.usefixtures("no_child_left")
def test_a_slow_file_is_stopped():
    """A file that would take longer ends with the request's time, and so does its child process."""
    results = clean_files([bombs.slow_pages()] * 2, limits=CleanLimits(seconds=1))
    assert {result.code for result in results} <= {"too-slow", "no-time"}


def test_without_time_nothing_is_started():
    """Files for which no time is left are refused with `no-time`."""
    assert [result.code for result in clean_files([jpeg()], limits=CleanLimits(seconds=0))] == ["no-time"]


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


def test_pages_of_a_pdf_become_pictures():
    """The desk gets one picture a page, in order."""
    pages = pdf_page_images(pdf(3))
    assert [page.path for page in pages] == ["files/1.png", "files/2.png", "files/3.png"]
    assert all(page.type == "image/png" for page in pages)
