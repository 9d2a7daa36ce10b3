"""What the envelopes of one call hold: tips and referrals, each with its files if all parts are there.

Only parts that a tip or referral proves are joined to it. Nothing is written over, and files from strangers are
unpacked under `untrusted/`.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from app.core.durable import create_once
from app.desk.envelopes import opened_id
from app.desk.question_bundle import AuthorityQuestion, question_json
from app.desk.referral import ReferralWords, join_referral, referral_json, referral_text
from app.desk.terminal import escape_json, escape_text
from app.vault.part import Part
from app.vault.tip import TipFile
from app.vault.tip_bundles import Words, from_bundles, words_to_json, words_to_text


class OpenedEnvelopes:
    """The tips and referrals that were opened in one call, each with the file that it came in, and the parts."""

    def __init__(self) -> None:
        self.words: list[tuple[Path, Words | ReferralWords]] = []
        self._parts: dict[str, list[Part]] = defaultdict(list)

    def add(self, path: Path, opened: Words | Part | ReferralWords) -> None:
        """Add what was in one envelope; a decoy is dropped."""
        if isinstance(opened, Part):
            self._parts[opened.tip].append(opened)
        elif isinstance(opened, ReferralWords) or not opened.tip.decoy:
            self.words.append((path, opened))

    def count_missing(self, words: Words | ReferralWords) -> int:
        """Return how many parts of the files of a tip or referral are missing."""
        return words.part_count - len({part.number for part in self._proven(words)})

    def join(self, words: Words | ReferralWords) -> tuple[TipFile, ...]:
        """Return the files of a tip or referral, none where parts are missing; raises BundleError."""
        if self.count_missing(words):
            return ()
        if isinstance(words, ReferralWords):
            return join_referral(words, self._proven(words)).files
        return from_bundles(words, self._proven(words)).files

    def count_strays(self) -> int:
        """Return how many parts belong to no tip or referral of this call."""
        ids = {opened_id(words) for _, words in self.words}
        return sum(len(parts) for tip, parts in self._parts.items() if tip not in ids)

    def _proven(self, words: Words | ReferralWords) -> list[Part]:
        return [part for part in self._parts.get(opened_id(words), ()) if words.proves(part)]


def words_json(words: Words | ReferralWords) -> str:
    """Return what `tip.json` or `referral.json` says, in JSON that does nothing to a terminal."""
    line = referral_json(words) if isinstance(words, ReferralWords) else words_to_json(words)
    return escape_json(line.decode())


def unpack_question(question: AuthorityQuestion, folder: Path) -> None:
    """Write an authority's question as `folder/<id>/question.json`; raises FileExistsError, and OSError."""
    target = folder / question.id
    target.mkdir(mode=0o700, parents=True)
    create_once(target / "question.json", f"{escape_json(question_json(question).decode())}\n".encode())


def unpack_to_folder(words: Words | ReferralWords, files: Sequence[TipFile], folder: Path) -> Path:
    """Write a tip or referral into `folder/<id>/`, its files under `untrusted/`, readable by this user alone.

    Raises FileExistsError rather than write over anything, and OSError.
    """
    target = folder / opened_id(words)
    target.mkdir(mode=0o700, parents=True)
    name = "referral" if isinstance(words, ReferralWords) else "tip"
    text = referral_text(words) if isinstance(words, ReferralWords) else words_to_text(words)
    create_once(target / f"{name}.json", f"{words_json(words)}\n".encode())
    create_once(target / f"{name}.txt", escape_text(text).encode())
    if files:
        (target / "untrusted").mkdir(mode=0o700)
    for file in files:
        create_once(target / "untrusted" / Path(file.path).name, file.data)
    return target
