"""Sets up .venv/ for `make run` and `make test` on a Linux machine that has Python 3.11 and nothing of ours.

Installs from the lock files with their hashes, then the project itself; for tests also what they measure
against. Asks nothing. Touches nothing outside the repository, but for what `needs.sh` says.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
OLDEST = (3, 11)


def main(wanted: str) -> None:
    """Set up for `run` or `test`; ends with one line on failure."""
    if sys.platform != "linux":
        sys.exit("haumaru: runs on Linux only (prctl, fork, Landlock); use a Linux container or virtual machine")
    if sys.version_info < OLDEST:
        sys.exit("haumaru: this Python is older than 3.11; install a newer one, or name it: make PYTHON=python3.11")
    if not (BIN / "python").exists():
        print("Setting up .venv, once; it takes a minute or two")
        try:
            venv.create(VENV, with_pip=True, clear=True)
        except subprocess.CalledProcessError:
            sys.exit("haumaru: this Python makes no virtual environment; on Debian: apt-get install python3-venv")
    pip = ("python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
    _run(*pip, "--require-hashes", "-r", "requirements-dev.lock" if wanted == "test" else "requirements.lock")
    _run(*pip, "--no-build-isolation", "--no-deps", "-e", ".")
    if wanted == "test":
        _run("npm", "ci", "--silent", "--ignore-scripts", "--prefix", "tests/tools")
        _run("bash", "deploy/needs.sh")
        (VENV / ".test").touch()
    (VENV / ".run").touch()


def _run(*command: str) -> None:
    program = str(BIN / command[0]) if (BIN / command[0]).exists() else command[0]
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    done = subprocess.run([program, *command[1:]], cwd=ROOT, env={**os.environ, "PATH": path}, check=False)
    if done.returncode:
        sys.exit(f"haumaru: {' '.join(command[:4])} … failed; see above, and look at the network")


if __name__ == "__main__":
    main(sys.argv[1])
