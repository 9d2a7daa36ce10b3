"""Reads, checks and compiles the catalogues: the program's sentences in each language, as gettext files.

A catalogue with a fault is never used. A wrong placeholder would otherwise be an error page for a visitor, and a wrong
number would send a visitor to another telephone. Sentences without a translation, and guesses, are shown in English.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

from app.core.errors import ConfigError

# What a translation has as its English has it: places that the program fills, and numbers.
_PLACES = re.compile(r"%(?:\([^)]*\))?.?")
_NUMBERS = re.compile(r"\d+(?: \d+)*")
_REMEDY = "make them those of the English"


def compile_catalogues(root: Path) -> list[Path]:
    """Compile each `messages.po` below `root` that is newer than its `messages.mo`; return the written paths.

    In a read-only folder the catalogues stay as they are. Raises ConfigError with every fault, each with its line.
    """
    catalogues, faults = _read_catalogues(root)
    if faults:
        raise ConfigError(faults)
    return [target for source, catalogue in catalogues.items() for target in _compiled(source, catalogue)]


def catalogue_faults(root: Path) -> tuple[str, ...]:
    """Return every fault of the catalogues below `root`, each with its line and its remedy; write nothing."""
    return _read_catalogues(root)[1]


def _read_catalogues(root: Path) -> tuple[dict[Path, Catalog], tuple[str, ...]]:
    faults: list[str] = []
    sources = sorted(root.glob("*/LC_MESSAGES/messages.po"))
    return {source: _read_catalogue(source, faults) for source in sources}, tuple(faults)


def _compiled(source: Path, catalogue: Catalog) -> Iterator[Path]:
    """Write the compiled catalogue where it is older than its source, and yield its path then."""
    target = source.with_suffix(".mo")
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return
    with suppress(PermissionError), NamedTemporaryFile(dir=source.parent, delete=False) as made:
        write_mo(made, catalogue)
        Path(made.name).replace(target)
        yield target


def _read_catalogue(path: Path, faults: list[str]) -> Catalog:
    """Return a catalogue, and add its faults to `faults`."""
    name = "/".join(("translations", *path.parts[-3:]))
    catalogue = Catalog()
    try:
        with path.open("rb") as file:
            catalogue = read_po(file, abort_invalid=True)
    except PoFileError as error:
        faults.append(f"{name}:{error.lineno + 1}: not a line of a catalogue; correct it")
    except (ValueError, LookupError):  # UnicodeDecodeError is a ValueError
        faults.append(f"{name}: cannot be read; save it as UTF-8")
    faults.extend(f"{name}:{message.lineno}: {fault}" for message in catalogue for fault in _message_faults(message))
    return catalogue


def _message_faults(message: Message) -> Iterator[str]:
    """Yield the differences of a translated sentence from its English that a visitor would suffer from."""
    if not message.id or message.fuzzy:
        return
    english, translated = _forms(message.id), [form for form in _forms(message.string) if form]
    for what, pattern in (("places", _PLACES), ("numbers", _NUMBERS)):
        allowed = [sorted(_found(what, pattern, form)) for form in english]
        odd = next((form for form in translated if sorted(_found(what, pattern, form)) not in allowed), None)
        if odd is not None:
            told, wanted = (" ".join(words) or "none" for words in (_found(what, pattern, odd), allowed[-1]))
            yield f"{what} {told}, where the English has {wanted}; {_REMEDY}"
    if any("<" in form for form in translated) and not any("<" in form for form in english):
        yield "there is a < in it, which begins markup; write the words alone"


def _found(what: str, pattern: re.Pattern[str], form: str) -> list[str]:
    return pattern.findall(form if what == "places" else _PLACES.sub("", form))


def _forms(words: object) -> list[str]:
    return [words] if isinstance(words, str) else [str(form or "") for form in words]  # type: ignore[attr-defined]
