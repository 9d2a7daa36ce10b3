"""Sealing: to whom, to whom not, how long, how much memory, and that another age tool opens it."""

import os
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import EnvelopeError, KeyTextError
from app.vault import keys
from app.vault.age import seal
from app.vault.age_open import unseal
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
    assert len(envelope) == len(seal(data, RECIPIENTS))


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
        (RECIPIENTS * 22, EnvelopeError),
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


def test_as_many_recipients_as_may_be_can_be_read_again():
    """The largest header that is written is not beyond what is read."""
    envelope = seal(b"x", RECIPIENTS * 21 + RECIPIENTS[:1])
    assert unseal(envelope, IDENTITIES[2:]) == b"x"


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
