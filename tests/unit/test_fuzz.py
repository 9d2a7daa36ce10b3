"""Whatever strangers send, every reader answers with its own error or with what it read: nothing else is raised.

The short form of `tests/fuzz/drive.py`: bytes without any sense, and good inputs with bytes changed, cut and put in.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

FEW, MANY = 40, 300


@st.composite
def changed(draw, seeds: list[bytes]) -> bytes:
    """One of the seeds, with up to eight changes."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(["flip", "cut", "put", "drop", "double"]))
        if how == "flip" and at < len(data):
            data[at] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del data[at:]
        elif how == "put":
            data[at:at] = draw(st.binary(min_size=1, max_size=24))
        elif how == "drop":
            del data[at : at + draw(st.integers(1, 24))]
        else:
            data[at:at] = data[at : at + 256]
    return bytes(data)


def _example_count(name: str) -> int:
    return FEW if TARGETS[name].slow else MANY


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_inputs_that_are_read(name):
    """Each reader has seeds to start from, and takes each of them or refuses it with our own error."""
    seeds = TARGETS[name].seeds()
    assert seeds
    for seed in seeds:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
def test_bytes_without_sense_raise_only_our_errors(name):
    """Random bytes are refused, or read, and nothing else happens."""

    @settings(max_examples=_example_count(name), suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=2048))
    def run(data):
        TARGETS[name](data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_good_inputs_that_were_changed_raise_only_our_errors(name):
    """Good inputs with a few bytes changed are refused, or read, and nothing else happens."""
    seeds = TARGETS[name].seeds()

    @settings(max_examples=_example_count(name), suppress_health_check=list(HealthCheck))
    @given(changed(seeds))
    def run(data):
        TARGETS[name](data)

    run()


def test_what_was_found_once_stays_mended():
    """Finds of long runs, each a 500: a query that is not ASCII or holds a line's end, and a file sent as a text."""
    file = b'--b\r\nContent-Disposition: form-data; name="what"; filename="a.jpg"\r\n\r\nhello\r\n--b--\r\n'
    for found in (
        b"POST en/report\0\0multipart/form-data; boundary=b\0\0\0\0" + file,
        b"POST hi/report\0\0application/json\0\0\0\0[1]",
        b"GET en/plan\0\xff\xff\x0erevention",
        b"POST en/report\0\xe9\0application/x-www-form-urlencoded",
        b"POST en//report\0a;;b\r\nContent-Disposition: x",
        b"GET en//plan\0a\nb",
    ):
        TARGETS["request"](found)


def test_a_find_is_found():
    """A reader that raises what it should not is caught by the very same means."""
    from tests.fuzz.targets import Target

    broken = Target(lambda data: data[3], lambda: [b"four"])
    with pytest.raises(IndexError):
        broken(b"abc")
