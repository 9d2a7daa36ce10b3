"""Sets up .venv/ for `make run` and `make test` on a machine that has Python 3.11 and nothing of ours.

Installs from the lock files with their hashes, then the project itself; for tests also what they measure
against. Asks nothing. Touches nothing outside the repository, but for what `needs.sh` says.
"""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"


def main(wanted: str) -> None:
    """Set up for `run` or `test`; ends with one line on failure."""
    if sys.version_info < (3, 11):
        sys.exit("haumaru: this Python is older than 3.11; install a newer one, or name it: make PYTHON=python3.11")
    if not (BIN / "python").exists():
        print("Setting up .venv (once; a minute or two)")
        try:
            venv.create(VENV, with_pip=True, clear=True)
        except subprocess.CalledProcessError:
            sys.exit("haumaru: this Python cannot make a virtual environment; on Debian: apt-get install python3-venv")
    lock = "requirements-dev.lock" if wanted == "test" else "requirements.lock"
    _run("python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", lock)
    _run("python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-build-isolation", "--no-deps", "-e", ".")
    if wanted == "test":
        _run("npm", "ci", "--silent", "--ignore-scripts", "--prefix", "tests/tools")
        subprocess.run(["bash", str(ROOT / "deploy" / "needs.sh")], check=True, cwd=ROOT)
    (VENV / f".{wanted}").touch()
    (VENV / ".run").touch()


def _run(*command: str) -> None:
    path = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    import os

    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, env={**os.environ, "PATH": path}, check=False)
    if done.returncode:
        sys.exit(f"haumaru: {' '.join(command[:4])} … failed; see above, and look at the network")


if __name__ == "__main__":
    main(sys.argv[1])
