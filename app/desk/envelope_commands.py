"""The commands that open envelopes without a desk: `haumaru-desk open` and `haumaru-desk verify`.

No command writes over a file that exists. A bad envelope is named on standard error, and the others are opened
nevertheless. The object of the command's context is the environment, which `cli` read.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from app.core.errors import HaumaruError
from app.desk.envelopes import open_envelope_file, opened_id, read_envelope_file
from app.desk.errors import RefusedError
from app.desk.key_files import parse_signer, read_identities
from app.desk.question_bundle import AuthorityQuestion, question_json
from app.desk.referral import IN_DESKS_WORDS, Referral, ReferralWords, require_signer
from app.desk.terminal import escape_json, escape_line, warn
from app.desk.unpack import OpenedEnvelopes, unpack_question, unpack_to_folder, words_json
from app.vault.part import Part
from app.vault.tip_bundles import Words

_FILE = click.Path(path_type=Path)
_IDENTITY = click.option(
    "-i",
    "identity_paths",
    multiple=True,
    required=True,
    type=_FILE,
    help="An identity file. Repeat -i for each identity file.",
)
_ENVELOPES = click.argument("envelopes", nargs=-1, required=True, type=_FILE)


@click.command("open")
@_ENVELOPES
@_IDENTITY
@click.option(
    "-o", "folder", type=_FILE, help="Unpack each tip into a new folder inside this folder, and print nothing."
)
@click.option("--signer", help="The public signing key (base64) of the desk that sent the referrals.")
@click.pass_obj
def open_envelopes(
    env: Mapping[str, str],
    envelopes: tuple[Path, ...],
    identity_paths: tuple[Path, ...],
    folder: Path | None,
    signer: str | None,
) -> None:
    """Check and open envelopes, and join the files to their tips.

    Prints each tip as one line of JSON, or unpacks each tip with -o. The exit code is 1 if an envelope did not open.
    """
    identities, key = read_identities(identity_paths, env), None if signer is None else parse_signer(signer)
    opened = OpenedEnvelopes()

    def read(path: Path) -> None:
        words = open_envelope_file(path.name, read_envelope_file(path), identities)
        if isinstance(words, AuthorityQuestion):
            _show_question(words, folder)
            return
        if isinstance(words, ReferralWords):
            _check_signer(words.referral, key)
        opened.add(path, words)

    failed = [path for path in envelopes if not _succeeds(path, read)]
    for path, words in opened.words:
        failed += [path] * (not _succeeds(path, lambda _: _show(opened, words, folder)))  # noqa: B023  # called at once
    if strays := opened.count_strays():
        warn(f"parts of files that belong to no tip given here: {strays}; give all envelopes in one call")
    sys.exit(1 if failed else 0)


@click.command()
@_ENVELOPES
@_IDENTITY
@click.option("--signer", required=True, help="The public signing key (base64) that the desk told you by voice.")
@click.pass_obj
def verify(env: Mapping[str, str], envelopes: tuple[Path, ...], identity_paths: tuple[Path, ...], signer: str) -> None:
    """Check that the desk with this key signed each referral.

    Prints the reference of each signed referral, and which of its texts are in the desk's words. The exit code is 1 if
    a referral is not signed by that desk.
    """
    identities, key = read_identities(identity_paths, env), parse_signer(signer)

    def check(path: Path) -> None:
        opened = open_envelope_file(path.name, read_envelope_file(path), identities)
        if isinstance(opened, Part) or (isinstance(opened, Words) and opened.tip.decoy):
            return  # the signature of a referral covers its parts: it names the SHA-256 of every file
        if not isinstance(opened, ReferralWords):
            raise RefusedError("not-a-referral")
        referral = require_signer(opened.referral, key)
        own = f"; {IN_DESKS_WORDS}: {', '.join(referral.reworded)}" if referral.reworded else ""
        about = f", to your question {referral.question} about {referral.about}" if referral.question else ""
        click.echo(escape_line(f"{referral.reference} is signed by that desk, for {referral.to}{about}{own}"))

    failed = [path for path in envelopes if not _succeeds(path, check)]
    sys.exit(1 if failed else 0)


def _succeeds(path: Path, job: Callable[[Path], None]) -> bool:
    name = click.format_filename(path.name)
    try:
        job(path)
    except HaumaruError as error:
        refused = isinstance(error, RefusedError)
        warn(f"{name} does not open ({error.code}); {error.message if refused else 'set the file aside'}")
    except FileExistsError:
        warn(f"{name} was unpacked into that folder before; choose another folder")
    except OSError:
        warn(f"{name} cannot be read; check the name and the permissions")
    else:
        return True
    return False


def _show(opened: OpenedEnvelopes, words: Words | ReferralWords, folder: Path | None) -> None:
    if missing := opened.count_missing(words):
        warn(f"{opened_id(words)}: {missing} of {words.part_count} parts of its files are missing; give all at once")
    files = opened.join(words)
    if folder is not None:
        unpack_to_folder(words, files, folder)
    else:
        click.echo(words_json(words))


def _show_question(question: AuthorityQuestion, folder: Path | None) -> None:
    warn(f"{question.id}: an authority's question; only the desk checks whose key signed it")
    if folder is not None:
        unpack_question(question, folder)
    else:
        click.echo(escape_json(question_json(question).decode()))


def _check_signer(referral: Referral, signer: bytes | None) -> None:
    if signer is None:
        warn(f"{referral.reference}: anyone can sign a referral; give the key of the desk with --signer")
    else:
        require_signer(referral, signer)
