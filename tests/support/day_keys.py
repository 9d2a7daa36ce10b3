"""The day keys of an agency for tests: identities by day, batches of them, and the file that the site reads."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.vault.day_keys import DayKeyBatch, sign_batch
from app.vault.keys import Identity, key_fingerprint, new_identity, recipient_of
from app.vault.signature import encode_public_key, public_bytes


@dataclass
class KeysOfDays:
    """An agency with day keys: its own identity, its signing key, and the identity of each day."""

    file: Path
    identity: Identity = field(default_factory=new_identity)
    signing_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    days: dict[date, Identity] = field(default_factory=dict)

    def write(self, first: date, count: int, *, number: int = 1, fresh: bool = False) -> DayKeyBatch:
        """Write a batch of so many days, whose keys stay those of an earlier batch unless they are to be fresh."""
        wanted = [first + timedelta(days=day) for day in range(count)]
        for day in wanted:
            if fresh or day not in self.days:
                self.days[day] = new_identity()
        recipients = tuple(recipient_of(self.days[day]) for day in wanted)
        batch = DayKeyBatch(number, key_fingerprint([recipient_of(self.identity)]), first, recipients)
        self.put(sign_batch(batch, self.signing_key))
        return batch

    def put(self, data: bytes) -> None:
        """Put any bytes in the place of the file, as an operator does: whole, and with another inode."""
        beside = self.file.with_suffix(".new")
        beside.write_bytes(data)
        beside.rename(self.file)

    def variables(self, agency: str = "EXAMPLE") -> dict[str, str]:
        """Return the keys of the configuration of an agency, without the beginning HAUMARU_."""
        return {
            f"AGENCY_{agency}_RECIPIENTS": recipient_of(self.identity),
            f"AGENCY_{agency}_REPLY_KEY": encode_public_key(public_bytes(self.signing_key)),
            f"AGENCY_{agency}_DAY_KEYS": str(self.file),
        }
