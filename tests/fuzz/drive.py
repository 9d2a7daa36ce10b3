"""Fuzzes one reader for as long as you like, guided by coverage: `drive.py TARGET [libFuzzer's options]`.

Needs atheris (not in the lock file): `pip install atheris`. A find ends the run, and its input is written beside it.
    python tests/fuzz/drive.py envelope -max_total_time=3600
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
with atheris.instrument_imports(
    include=["app", "werkzeug.formparser", "werkzeug.http", "werkzeug.sansio", "email", "tomllib"]
):
    from tests.fuzz.targets import TARGETS


def main(name: str, *options: str) -> None:
    """Run one target; the seeds are written into a folder of their own."""
    target = TARGETS[name]
    corpus = Path(mkdtemp(prefix=f"corpus-{name}-"))
    for number, seed in enumerate(target.seeds()):
        (corpus / str(number)).write_bytes(seed)
        target(seed)
    longest = max(4096, *(path.stat().st_size + 64 for path in corpus.iterdir()))
    atheris.Setup([sys.argv[0], str(corpus), f"-max_len={longest}", *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
