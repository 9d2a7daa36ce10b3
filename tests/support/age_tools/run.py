"""Run the node scripts beside this file: an age tool that is not ours, and the community's vectors."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


def node(script: str, *arguments: str) -> bytes:
    """Return what a script prints; a script that fails, fails the test."""
    beside_python = str(Path(sys.executable).parent)
    program = shutil.which("node", path=beside_python + os.pathsep + os.environ["PATH"])
    assert program, "node is missing: `make test` installs it"
    done = subprocess.run([program, HERE / script, *arguments], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def age(command: str, data: bytes, folder: Path, keys: Sequence[str]) -> bytes:
    """Return what the independent tool makes of some bytes: `seal`, `armor`, `open`, `…-with-passphrase`."""
    source, target = folder / "in", folder / "out"
    source.write_bytes(data)
    node("age.mjs", command, str(source), str(target), *keys)
    return target.read_bytes()


def keygen() -> list[dict[str, str]]:
    """Return two pairs made by the independent tool: a hybrid one, then an X25519 one."""
    pairs: list[dict[str, str]] = json.loads(node("age.mjs", "keygen"))
    return pairs


@cache
def vectors() -> dict[str, bytes]:
    """Return every vector of the package, by name."""
    found = json.loads(node("vectors.mjs"))
    return {name: base64.b64decode(data) for name, data in found.items()}
