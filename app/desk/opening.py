"""One envelope to one tip, with everything checked that can be: format, seal, bundle, and the id in its name.

Anyone may seal to a published key, so what comes out is checked for form, never for truth. A decoy is told
from a tip only here, after opening.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from app.errors import EnvelopeError
from app.vault import tip as tips
from app.vault.tip import Tip
from app.vault.unseal import unseal

_NAME = re.compile(r"([0-9a-hjkmnp-tv-z]{26})\.age")


def open_envelope(path: Path, identities: Sequence[str]) -> Tip:
    """The tip in an envelope's file.

    Raises `EnvelopeError("name")` where the id inside is not the file's name, and whatever opening it raises.
    """
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise EnvelopeError("name")
    opened = tips.from_bytes(unseal(path.read_bytes(), identities))
    if opened.id != name[1]:
        raise EnvelopeError("name")
    return opened


def unpack(tip: Tip, folder: Path) -> Path:
    """Write a tip into `folder/<id>/`, its files under `untrusted/`, readable by this user alone.

    Raises `FileExistsError` rather than write over anything.
    """
    target = folder / tip.id
    target.mkdir(mode=0o700, parents=True)
    _write(target / "tip.json", tips.to_json(tip) + b"\n")
    _write(target / "tip.txt", tips.to_text(tip).encode())
    if tip.files:
        (target / "untrusted").mkdir(mode=0o700)
    for file in tip.files:
        _write(target / "untrusted" / Path(file.path).name, file.data)
    return target


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(data)
