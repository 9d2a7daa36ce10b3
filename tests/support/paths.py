"""Where the repository and the installed programs are, and what lies in folders that a running program changes."""

import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def read_below(roots: Iterable[Path]) -> dict[Path, bytes]:
    """Every file in or below these folders with its bytes, symbolic links left out.

    All is read anew where a running program renamed, added or removed a file meanwhile: its bytes may lie under a name
    that was not there before. Raises `AssertionError` where there is no file at all, since nothing would be searched.
    """
    roots = list(roots)
    while True:
        with suppress(FileNotFoundError):
            before = _below(roots)
            files = {path: path.read_bytes() for path in before}
            if _below(roots) == before:
                assert files, "nothing was searched"
                return files


def _below(roots: list[Path]) -> list[Path]:
    paths = [path for root in roots for path in [root, *root.rglob("*")]]
    modes = [(path, path.lstat().st_mode) for path in paths]
    return sorted(path for path, mode in modes if stat.S_ISREG(mode))
