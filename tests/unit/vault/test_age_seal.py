"""Sealing: to whom, to whom not, how long, how much memory, and that another age tool opens it."""

import base64
import io
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import EnvelopeError, KeyTextError
from app.vault import age, age_open, keys
from app.vault.age import ENVELOPE_BYTES, STANZAS, read_header, seal, sealed_length
from app.vault.age_open import unseal
from app.vault.bundle import BUNDLE_BYTES, pack
from app.vault.tip import Tip, TipFile, new_decoy, new_tip_id
from app.vault.tip_bundles import to_bundles
from tests.support.age_tools import run

IDENTITIES = [keys.new_identity() for _ in range(3)]
RECIPIENTS = [keys.recipient_of(identity) for identity in IDENTITIES]
PLAIN = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
SIZES = [0, 1, 65_535, 65_536, 65_537, 25_000_000]


@given(st.binary(max_size=1000), st.integers(1, 3))
def test_what_is_sealed_opens(data, count):
    """Each of the recipients, alone, opens what was sealed to all of them."""
    envelope = seal(data, RECIPIENTS[:count])
    for identity in IDENTITIES[:count]:
        assert unseal(envelope, [identity]) == data


@pytest.mark.parametrize("size", [*SIZES, 131_072, 196_608])
def test_every_size_opens(size):
    """Sizes on both sides of a chunk's border open, with the first and with the last identity."""
    data = os.urandom(size)
    envelope = seal(data, RECIPIENTS)
    assert unseal(envelope, IDENTITIES[:1]) == data
    assert unseal(envelope, IDENTITIES[2:]) == data
    assert len(envelope) == len(seal(data, RECIPIENTS[:1])) == sealed_length(size)


@pytest.mark.needs("node")
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_an_independent_tool_opens_what_we_seal(size, count, tmp_path):
    """An age tool that shares no code with ours opens our envelopes with the last of the identities."""
    data = os.urandom(size)
    envelope = seal(data, RECIPIENTS[:count])
    assert run.age("open", envelope, tmp_path, [IDENTITIES[count - 1]]) == data


def test_nobody_else_opens_it():
    """An identity that it was not sealed to does not open it."""
    with pytest.raises(EnvelopeError, match=r"^no-match$"):
        unseal(seal(b"x", RECIPIENTS[:2]), [IDENTITIES[2], keys.new_identity()])


@pytest.mark.parametrize(
    ("recipients", "error"),
    [
        ([], EnvelopeError),
        ([*RECIPIENTS, *RECIPIENTS[:2]], EnvelopeError),
        ([PLAIN], KeyTextError),
        ([*RECIPIENTS, PLAIN], KeyTextError),
        ([RECIPIENTS[0], ""], KeyTextError),
        ([RECIPIENTS[0][:-1]], KeyTextError),
        (IDENTITIES[:1], KeyTextError),
    ],
)
def test_a_wrong_recipient_stops_everything(recipients, error):
    """With no recipient, too many, a plain or a broken one, nothing is sealed."""
    with pytest.raises(error):
        seal(b"secret", recipients)


def test_sealing_twice_gives_nothing_in_common():
    """File key, share and nonce are new each time: no line of two envelopes is the same but the first."""
    one, other = (seal(bytes(1000), RECIPIENTS[:1]) for _ in range(2))
    assert one.split(b"\n")[0] == other.split(b"\n")[0]
    assert not set(one.split(b"\n")[1:]) & set(other.split(b"\n")[1:])


def test_the_length_says_only_the_length():
    """Envelopes of equally long bytes to equally many recipients are equally long, whatever is in them."""
    lengths = {len(seal(data, RECIPIENTS)) for data in (bytes(5000), os.urandom(5000), b"\n" * 5000)}
    assert len(lengths) == 1


@pytest.mark.parametrize("count", range(1, STANZAS + 1))
def test_every_envelope_of_a_bundle_has_one_length(count):
    """Whether to one recipient or to four, an envelope of 128 KiB has one length and four stanzas of one form."""
    envelope = seal(bytes(BUNDLE_BYTES), (RECIPIENTS * 2)[:count])
    assert len(envelope) == ENVELOPE_BYTES == sealed_length(BUNDLE_BYTES)
    header, _ = read_header(io.BytesIO(envelope))
    assert [(len(stanza.args), stanza.args[0], len(stanza.body)) for stanza in header.stanzas] == [
        (2, "mlkem768x25519", 32)
    ] * 4
    assert len({stanza.args[1] for stanza in header.stanzas}) == 4


@pytest.mark.parametrize("kind", ["words", "long words", "part", "last part", "decoy", "referral"])
def test_every_kind_of_bundle_makes_envelopes_of_one_length(kind):
    """Words, parts, decoys and other bundles cannot be told apart by their envelopes' lengths."""
    words = Tip(new_tip_id(), date(2026, 11, 22), {"what": "w" * (10_000 if kind == "long words" else 1)})
    picture = TipFile("files/1.jpg", "image/jpeg", (), bytes(150_000))
    bundles = to_bundles(replace(words, files=(picture,)))
    bundle = {
        "words": bundles[0].data,
        "long words": bundles[0].data,
        "part": bundles[1].data,
        "last part": bundles[2].data,
        "decoy": to_bundles(new_decoy())[0].data,
        "referral": pack({"referral.json": b"{}"}),
    }[kind]
    assert len(seal(bundle, RECIPIENTS[:2])) == ENVELOPE_BYTES


def test_the_stanzas_stand_in_random_order():
    """The place of a recipient's stanza says nothing of how many recipients there are."""
    assert {unwrap_places(seal(b"", RECIPIENTS[:1])) for _ in range(60)} == {(0,), (1,), (2,), (3,)}


def test_nobody_has_the_keys_of_the_stanzas_that_are_not_needed(monkeypatch):
    """An envelope makes no private key, and no key at all but for the first envelope of a process."""
    made = []
    for name in ("MLKEM768PrivateKey", "X25519PrivateKey"):
        assert not hasattr(age, name)
    seal(b"", RECIPIENTS[:1])
    monkeypatch.setattr(age, "_key_of_nobody", lambda: made.append(1))
    shares = [share for _ in range(20) for share in shares_of(seal(b"", RECIPIENTS[:1]))]
    assert made == []
    assert len(set(shares)) == 4 * 20


def test_a_stanza_does_not_show_whether_its_key_is_somebody_s():
    """The numbers in the stanzas of recipients and of nobody have one mean: uniform ones, shortened to ten bits."""
    means = []
    for recipients in ([RECIPIENTS[0]] * 4, None):
        keys_used = [keys.public_key(each) for each in recipients] if recipients else age._keys_of_nobody()
        stanzas = [age._wrap(bytes(16), key) for key in keys_used for _ in range(60 // len(keys_used))]
        raw = [base64.b64decode(stanza.args[1] + "==")[:960] for stanza in stanzas]
        numbers = [int.from_bytes(each, "little") >> 10 * place & 1023 for each in raw for place in range(768)]
        assert set(numbers) == set(range(1024))
        means.append(sum(numbers) / len(numbers))
    assert abs(means[0] - means[1]) < 10, means


def shares_of(envelope):
    """The share of each stanza, which its recipient needs to unwrap the file key."""
    return [stanza.args[1] for stanza in read_header(io.BytesIO(envelope))[0].stanzas]


def unwrap_places(envelope):
    """Return the places of the stanzas that the first identity unwraps."""
    header, _ = read_header(io.BytesIO(envelope))
    unwrap = age_open._unwrapper(IDENTITIES[0])
    return tuple(place for place, stanza in enumerate(header.stanzas) if unwrap(stanza) is not None)


@pytest.mark.parametrize("stanzas", [1, 2, 3, 4])
def test_a_record_may_have_fewer_stanzas(stanzas):
    """`stanzas` is the number of stanzas and the most recipients; each number has a length of its own."""
    envelope = seal(b"x", RECIPIENTS[:1], stanzas=stanzas)
    assert unseal(envelope, IDENTITIES[:1]) == b"x"
    assert len(envelope) == sealed_length(1, stanzas=stanzas)
    with pytest.raises(EnvelopeError, match=r"^recipients$"):
        seal(b"x", (RECIPIENTS * 2)[: stanzas + 1], stanzas=stanzas)


def test_25_mb_take_a_few_chunks_of_memory():
    """Sealing holds a few chunks of 64 KiB beside the data and the envelope."""
    data = os.urandom(25_000_000)
    seal(b"", RECIPIENTS)
    tracemalloc.start()
    try:
        envelope = seal(data, RECIPIENTS)
        beside = tracemalloc.get_traced_memory()[1] - len(envelope)
    finally:
        tracemalloc.stop()
    assert beside < 8 * 65_536
    assert unseal(envelope, IDENTITIES[:1]) == data


def test_sealing_loads_nothing_that_opens():
    """The public side can run where `unseal` is not installed."""
    code = "import sys, app.vault.age; print('app.vault.age_open' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"False\n"
