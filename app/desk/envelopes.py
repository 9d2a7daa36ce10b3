"""Open one envelope to a tip or a referral, and check its format, seal, bundle and the id in its name.

Anyone may seal to a published key, so what comes out is checked for form, never for truth. Only here, after opening,
does anybody learn whether an envelope is a decoy.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from app.core.durable import create_once
from app.core.errors import EnvelopeError
from app.desk.referral import Referral, is_referral, referral_json, referral_text, unpack_referral
from app.vault.age_open import unseal
from app.vault.tip import Tip, TipFile, TipId, tip_from_bundle, tip_to_json, tip_to_text

MAX_ENVELOPE_BYTES = 34 * 1024 * 1024  # the last size class, and room for 64 recipients
_NAME = re.compile(r"([0-9a-hjkmnp-tv-z]{26})\.age")


def id_from_name(name: str) -> TipId | None:
    """Return the id in the file name of an envelope, or None for a name of another form."""
    match = _NAME.fullmatch(name)
    return TipId(match[1]) if match else None


def open_tip_or_referral(path: Path, identities: Sequence[str]) -> Tip | Referral:
    """Return what is in an envelope's file.

    Raises EnvelopeError `name` where the id inside is not the file's name, `too-large`, and what `unseal` raises;
    BundleError; OSError.
    """
    name = id_from_name(path.name)
    if name is None:
        raise EnvelopeError("name")
    if path.stat().st_size > MAX_ENVELOPE_BYTES:
        raise EnvelopeError("too-large")
    bundle = unseal(path.read_bytes(), identities)
    opened = unpack_referral(bundle) if is_referral(bundle) else tip_from_bundle(bundle)
    if opened.id != name:
        raise EnvelopeError("name")
    return opened


def open_tip(path: Path, identities: Sequence[str]) -> Tip:
    """Return the tip in an envelope's file; raises as `open_tip_or_referral` does, and EnvelopeError `referral`."""
    opened = open_tip_or_referral(path, identities)
    if isinstance(opened, Referral):
        raise EnvelopeError("referral")
    return opened


def unpack_to_folder(opened: Tip | Referral, folder: Path) -> Path:
    """Write a tip or referral into `folder/<id>/`, its files under `untrusted/`, readable by this user alone.

    Raises FileExistsError rather than write over anything, and OSError.
    """
    target = folder / opened.id
    target.mkdir(mode=0o700, parents=True)
    if isinstance(opened, Referral):
        create_once(target / "referral.json", referral_json(opened) + b"\n")
        create_once(target / "referral.txt", referral_text(opened).encode())
    else:
        create_once(target / "tip.json", tip_to_json(opened) + b"\n")
        create_once(target / "tip.txt", tip_to_text(opened).encode())
    _unpack_files(target / "untrusted", opened.files)
    return target


def _unpack_files(target: Path, files: Sequence[TipFile]) -> None:
    if files:
        target.mkdir(mode=0o700)
    for file in files:
        create_once(target / Path(file.path).name, file.data)
