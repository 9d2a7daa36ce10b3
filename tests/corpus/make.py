"""Makes the corpus: `python -m tests.corpus.make FOLDER` writes every specimen and lists what was planted where.

Nothing of it is committed: each file is made anew from code, with exiftool for the tags that cameras write.
"""

import sys
import tempfile
from pathlib import Path

from tests.corpus import papers, pictures, recordings
from tests.corpus.marks import Specimen

NAMES = (
    "photo.jpg", "photo.png", "photo.webp", "drawing.gif", "photo.tif", "scan.tif", "photo.heic", "photo.avif",
    "film.mp4", "film.mov", "hevc.mp4", "voice.m4a", "music.mp3", "voice.ogg", "music.ogg", "voice.wav", "small.wav",
    "letter.pdf", "letter.docx", "payments.xlsx", "letter.odt", "notes.txt", "wide.txt",
)  # fmt: skip


def corpus() -> list[Specimen]:
    """Every specimen, each with its marks."""
    with tempfile.TemporaryDirectory() as folder:
        shown = pictures.everything(Path(folder), recordings.still())
    return [*shown, *recordings.everything(), *papers.everything()]


def main() -> None:
    """Write the corpus into a folder, for a look at it with other tools."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for specimen in corpus():
        (folder / specimen.name).write_bytes(specimen.data)
        print(f"{specimen.name}: {', '.join(specimen.places)}")


if __name__ == "__main__":
    main()
