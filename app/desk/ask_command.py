"""`haumaru-desk ask`: the command with which an authority asks the desk about a referral.

The command makes one envelope and sends nothing: the authority sends the file as it sends any other. It needs no desk
and no configuration. The object of the command's context is the environment, which `cli` read.
"""

import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import click

from app.core.durable import create_once
from app.core.errors import BundleError, EnvelopeError, KeyTextError
from app.delivery.clock import nz_day
from app.desk.envelopes import open_envelope_file, read_envelope_file
from app.desk.key_files import parse_signer, read_identities, read_question_key
from app.desk.question_bundle import MAX_QUESTION_LENGTH, AuthorityQuestion, question_bundle
from app.desk.referral import ReferralWords, require_signer
from app.vault.age import seal
from app.vault.keys import Recipient, public_key
from app.vault.signature import encode_public_key
from app.vault.tip import new_tip_id

_FILE = click.Path(path_type=Path)
_REFERENCE = re.compile("[0-9A-HJKMNP-TV-Z]{4}-?[0-9A-HJKMNP-TV-Z]{4}", re.IGNORECASE)
_GROUP = 4  # characters on each side of the hyphen
_MAX_BYTES = 4 * MAX_QUESTION_LENGTH  # of a text of that many characters in UTF-8
_FAULTS = {
    "question-long": f"the question is too long; write at most {MAX_QUESTION_LENGTH:,} characters",
    "question": "write a question into a file for --text, or name at most five questions of the catalogue",
}


@click.command()
@click.option("--about", required=True, help="The envelope of the referral, or the reference (such as 7K2M-PQ4D).")
@click.option("-i", "identity_paths", multiple=True, type=_FILE, help="Your identity file, to open that envelope.")
@click.option("--signer", required=True, help="The public signing key (base64) that the desk told you by voice.")
@click.option("--text", "text_file", type=click.File("rb"), help="A file with your question, or - to type it.")
@click.option("--question", "ids", multiple=True, help="The id of a question of the catalogue. Repeat for up to five.")
@click.option("-k", "key_path", required=True, type=_FILE, help="Your signing key (haumaru-desk keygen --signing).")
@click.option("-r", "recipients", required=True, multiple=True, help="The desk's recipient (age1pq1...), or its file.")
@click.option("-o", "folder", type=_FILE, default=".", help="The folder for the envelope; otherwise this folder.")
@click.pass_obj
def ask(
    env: Mapping[str, str],
    *,
    about: str,
    identity_paths: tuple[Path, ...],
    signer: str,
    text_file: IO[bytes] | None,
    ids: tuple[str, ...],
    key_path: Path,
    recipients: tuple[str, ...],
    folder: Path,
) -> None:
    """Make an envelope with a question about a referral, signed by you and sealed to the desk.

    Prints the name of the envelope: send the file under this name. Never ask who the sender is.
    """
    desk_key = parse_signer(signer)
    try:
        question = AuthorityQuestion(
            id=new_tip_id(),
            reference=_read_reference(about, identity_paths, desk_key, env),
            to=encode_public_key(desk_key),
            questions=ids,
            text=_read_text(text_file),
            day=nz_day(time.time()),
        )
        bundle = question_bundle(question, read_question_key(key_path, env))
        envelope = seal(bundle.data, [_read_recipient(one) for one in recipients])
    except (BundleError, EnvelopeError) as error:
        raise click.UsageError(_FAULTS.get(error.code, "give one to four recipients of the desk")) from None
    path = folder / f"{bundle.id}.age"
    create_once(path, envelope)
    click.echo(path)


def _read_reference(about: str, identity_paths: tuple[Path, ...], desk_key: bytes, env: Mapping[str, str]) -> str:
    """Return the reference of the referral; raises click.UsageError, and RefusedError `signature`."""
    if _REFERENCE.fullmatch(about):
        letters = about.replace("-", "").upper()
        return f"{letters[:_GROUP]}-{letters[_GROUP:]}"
    path = Path(about)
    try:
        opened = open_envelope_file(path.name, read_envelope_file(path), read_identities(identity_paths, env))
    except (OSError, BundleError, EnvelopeError):
        opened = None
    if not isinstance(opened, ReferralWords):
        fault = "--about is no reference, and no envelope of a referral that your identity file opens; check both"
        raise click.UsageError(fault)
    return require_signer(opened.referral, desk_key).reference


def _read_text(text_file: IO[bytes] | None) -> str:
    if text_file is None:
        return ""
    if text_file.name == "-" and sys.stdin.isatty():
        click.echo("Type your question, then press Ctrl-D:", err=True)
    data = text_file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise BundleError("question-long")
    try:
        return data.decode("utf-8").strip()
    except ValueError:
        raise click.UsageError("--text is not a text in UTF-8; save the file as UTF-8") from None


def _read_recipient(given: str) -> Recipient:
    text = given
    try:
        if not given.startswith("age1"):
            text = Path(given).read_text(encoding="ascii").strip()
        public_key(text)
        return Recipient(text)
    except (KeyTextError, OSError, ValueError):
        raise click.UsageError("-r is not a recipient of the desk, and not a file with one; copy age1pq1…") from None
