"""Durable files: what stands after a success, after a failure, and under a planted link."""

import os
from pathlib import Path

import pytest

from app.core.durable import create_once, fsync_folder, write_atomically


def test_a_file_is_replaced_whole_with_its_mode_and_times(tmp_path):
    """The new bytes, the mode and the times stand, and no temporary file is left."""
    path = tmp_path / "a.age"
    path.write_bytes(b"old" * 1000)
    write_atomically(path, b"new", mode=0o600, timestamp=86_400.0)
    assert path.parent.stat().st_mtime == 86_400.0
    assert [file.name for file in tmp_path.iterdir()] == ["a.age"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert (path.stat().st_mtime, path.stat().st_atime) == (86_400.0, 86_400.0)
    assert path.read_bytes() == b"new"


def test_every_write_is_synced_before_its_name_and_the_folder_after(tmp_path, monkeypatch):
    """The file is synced before the rename, and the folder after the rename."""
    path, calls = tmp_path / "a", []
    real = os.fsync

    def fsync(descriptor):
        calls.append((Path(f"/proc/self/fd/{descriptor}").is_dir(), path.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, b"x")
    assert calls == [(False, False), (True, True)]


@pytest.mark.parametrize("write", [write_atomically, create_once])
def test_a_failure_leaves_no_part_of_a_file(tmp_path, monkeypatch, write):
    """Where the disk fails, the name and the temporary name are free, or the old file stands."""

    def fail(_):
        raise OSError(28, "disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_taken_name_is_never_written_over(tmp_path):
    """A file is created once, for this user alone; a second attempt raises and changes nothing."""
    path = tmp_path / "key"
    create_once(path, b"first")
    with pytest.raises(FileExistsError):
        create_once(path, b"second")
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_under_the_temporary_name_is_not_followed(tmp_path):
    """The target of a planted link keeps its bytes."""
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    (tmp_path / ".a.part").symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        write_atomically(tmp_path / "a", b"x")
    assert target.read_bytes() == b"mine"


def test_a_missing_folder_is_a_fault(tmp_path):
    """No folder is made for a file, and a missing folder cannot be synced."""
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "a", b"x")
    with pytest.raises(FileNotFoundError):
        fsync_folder(tmp_path / "none")
