"""What an envelope costs beside its cipher alone: seal and open a bundle, and 25 MB."""

import os
import time
from collections.abc import Callable
from statistics import median

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from app.vault import keys
from app.vault.age import seal
from app.vault.age_open import unseal
from app.vault.bundle import BUNDLE_BYTES


def milliseconds(work: Callable[[], object], times: int) -> float:
    """Return the median of several runs, after one that warms up."""
    work()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return median(taken)


def main() -> None:
    identity = keys.new_identity()
    recipient = keys.recipient_of(identity)
    cipher, nonce = ChaCha20Poly1305(os.urandom(32)), bytes(12)
    print(f"{'':>12}{'cipher':>12}{'seal':>12}{'':>8}{'open':>12}")
    for name, size, times in (("a bundle", BUNDLE_BYTES, 500), ("25 MB", 25_000_000, 20)):
        data = os.urandom(size)
        envelope = seal(data, [recipient])
        raw = milliseconds(lambda data=data: cipher.encrypt(nonce, data, None), times)
        sealing = milliseconds(lambda data=data: seal(data, [recipient]), times)
        opening = milliseconds(lambda envelope=envelope: unseal(envelope, [identity]), times)
        print(
            f"{name:>12}{raw:>9.3f} ms{sealing:>9.3f} ms{sealing / raw:>7.1f}x{opening:>9.3f} ms{opening / raw:>7.1f}x"
        )
    checked = milliseconds(lambda: (keys.public_key.cache_clear(), keys.parse_recipient(recipient)), 100)
    print(f"checking a recipient for the first time: {checked:.3f} ms")


if __name__ == "__main__":
    main()
