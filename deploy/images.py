"""The container images that deploy/ starts from: each is named with its digest, or no release is made.

    python deploy/images.py          names each image that has no digest; exit 1 if there is one
    python deploy/images.py pin      asks the registry through docker, and writes the digests into the files

A tag can be given other contents at any time; a digest cannot (OCI image specification, "Content Descriptors").
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = (ROOT / "Dockerfile", ROOT / "deploy/compose/tor.Dockerfile", ROOT / "deploy/compose/compose.yaml")
# Built here, from this very tree.
OWN = "haumaru:"
_NAMED = re.compile(r"^(FROM |\s+image: )(\S+)", re.MULTILINE)
_PINNED = re.compile(r"@sha256:[0-9a-f]{64}$")


def unpinned(text: str) -> list[str]:
    """Return the images in a Dockerfile or a compose file that have no digest."""
    names = [found[2] for found in _NAMED.finditer(text)]
    return sorted({name for name in names if not _PINNED.search(name) and not name.startswith(OWN)})


def pin(text: str, digest_of: Callable[[str], str]) -> str:
    """Return the text with the digest that `digest_of` gives after each image that has none."""
    for name in unpinned(text):
        place = re.compile(rf"^(FROM |\s+image: ){re.escape(name)}(?=\s|$)", re.MULTILINE)
        text = place.sub(rf"\g<0>@{digest_of(name)}", text)
    return text


def all_unpinned() -> list[str]:
    """Return every image of the repository that has no digest."""
    return sorted({name for path in FILES for name in unpinned(path.read_text())})


def _digest(name: str) -> str:
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    digest = done.stdout.strip()
    if done.returncode or not _PINNED.search(f"@{digest}"):
        sys.exit(f"haumaru: no digest of {name} can be had from here; run it where docker reaches the registry")
    return digest


def main(wanted: list[str]) -> None:
    """Check, or pin."""
    if wanted == ["pin"]:
        pinned = {path: pin(path.read_text(), _digest) for path in FILES}
        for path, text in pinned.items():
            path.write_text(text)
    if names := all_unpinned():
        sys.exit(f"haumaru: images without a digest: {', '.join(names)}; run: python deploy/images.py pin")


if __name__ == "__main__":
    main(sys.argv[1:])
