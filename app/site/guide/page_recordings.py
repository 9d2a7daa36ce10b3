"""Reads the recordings of pages that are read aloud, and offers only those that say what their page says today.

    content/<lang>/audio/<slug>.mp3     the sound, laid out by `recording_frames`, without anything else
    content/<lang>/audio/<slug>.toml    words (the digest of what is said), sound (the digest of the file), voice

`make audio` writes both. Every other file is a fault, because it may say who spoke, when and where, and because its
length would tell which recording is played. A recording whose page has other words by now is not offered, because a
wrong number helps nobody. A page without a recording offers none.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from app.core.errors import ConfigError
from app.site.guide.models import Edition, GuideFolders, PageRecording
from app.site.guide.recording_frames import recording_problem
from app.site.guide.spoken import SPOKEN_SLUGS, spoken_digest, spoken_page

# The name of the voice in a recording's table, for a person who speaks; every other name is that of a program's voice.
SPEAKER = "speaker"
_FOLDER, _SOUND, _TABLE = "audio", ".mp3", ".toml"
_REMEDY = "make a recording of it with make audio (docs/translator.md), and delete it"


# What an operator reads about a recording whose page has changed.
OLD_RECORDING = "says other words than its page does now, so the page offers no sound; run make audio"


def recorded_languages(root: Path, own: Path | None) -> frozenset[str]:
    """Return the languages that have a recording below a folder of content or in the operator's own folder."""
    folders = [folder for folder in (root, own) if folder is not None]
    found = {path.parts[-3] for folder in folders for path in folder.glob(f"*/{_FOLDER}/*{_SOUND}")}
    return frozenset(lang for lang in found if (root / lang).is_dir())


def sound_path(folder: Path, lang: str, slug: str) -> Path:
    """Return where the recording of a page is, below a folder of content."""
    return folder / lang / _FOLDER / f"{slug}{_SOUND}"


def table_path(sound: Path) -> Path:
    """Return where the table of a recording is."""
    return sound.with_suffix(_TABLE)


def sound_digest(data: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a recording."""
    return sha256(data).hexdigest()[:16]


def add_recordings(edition: Edition, folders: GuideFolders) -> Edition:
    """Return the edition with its recordings; `ConfigError` with every fault of a recording.

    A recording in the operator's own folder comes before the program's; the first that says today's words is offered.
    """
    faults = list(_other_files(edition.lang, folders))
    offered: dict[str, PageRecording] = {}
    old: list[str] = []
    for slug in SPOKEN_SLUGS:
        found = dict(_found(edition.lang, slug, folders, faults))
        if found:
            digest = spoken_digest(spoken_page(edition, slug))
            of_today = [recording for words, recording in found.items() if words == digest]
            offered.update((slug, recording) for recording in of_today)
            old += [] if of_today else [f"content/{edition.lang}/{_FOLDER}/{slug}{_SOUND}"]
    if faults:
        raise ConfigError(tuple(faults))
    return replace(edition, recordings=offered, old_recordings=tuple(old))


def _other_files(lang: str, folders: GuideFolders) -> Iterator[str]:
    """Yield a fault for each file that is no recording of a page, such as a speaker's own file."""
    known = {f"{slug}{end}" for slug in SPOKEN_SLUGS for end in (_SOUND, _TABLE)}
    for folder in (folders.program, folders.own):
        place = folder / lang / _FOLDER if folder is not None else None
        if place is not None and place.is_dir():
            names = sorted(path.name for path in place.iterdir() if path.name not in known)
            yield from (f"content/{lang}/{_FOLDER}/{name}: is no recording; {_REMEDY}" for name in names)


def _found(lang: str, slug: str, folders: GuideFolders, faults: list[str]) -> Iterator[tuple[str, PageRecording]]:
    """Yield the recordings of a page with the digests of what they say, the operator's own recording last."""
    for folder in (folders.program, folders.own):
        path = sound_path(folder, lang, slug) if folder is not None else None
        if path is not None and path.is_file():
            data, table = path.read_bytes(), read_table(table_path(path))
            problem = recording_problem(data) or _table_problem(data, table)
            if problem:
                faults.append(f"content/{lang}/{_FOLDER}/{slug}{_SOUND}: {problem}; {_REMEDY}")
            else:
                yield table["words"], PageRecording(data, by_computer=table["voice"] != SPEAKER)


def read_table(path: Path) -> dict[str, Any]:
    """Return the table of a recording, empty where there is none that can be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def _table_problem(data: bytes, table: dict[str, Any]) -> str:
    if not all(isinstance(table.get(key), str) for key in ("words", "sound", "voice")):
        return f"has no table ({_TABLE}) beside it that says words, sound and voice"
    return "" if table["sound"] == sound_digest(data) else "is another recording than the table beside it says"
