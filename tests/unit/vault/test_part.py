"""Parts: what is split comes back, and no slice that is forged, moved, missing, foreign or too long gets in."""

import hashlib
import hmac
import json
import random
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import BundleError
from app.vault import tip
from app.vault.bundle import BUNDLE_BYTES, pack, unpack
from app.vault.part import (
    MAX_CANDIDATES,
    MAX_PARTS,
    SLICE_BYTES,
    Part,
    count_parts,
    is_proven,
    join,
    pack_part,
    proven_parts,
    read_part,
    split,
)

KEY = bytes(range(32))
TIP = tip.TipId("0123456789abcdefghjkmnpqrs")
OTHER = tip.TipId("1" * 26)
DATA = random.Random(11).randbytes(2 * SLICE_BYTES + 1000)


def ids(number):
    """Return one id for each number."""
    return tip.TipId(f"{number:026}")


def split_all(data, **how):
    """Return every part of some bytes, which come in two pieces."""
    return list(split(lambda: (data[:1000], data[1000:]), len(data), **how))


PARTS = split_all(DATA, tip=TIP, key=KEY, ids=ids)
PART_BUNDLE = pack_part(PARTS[2])


def joined(parts, count=3, key=KEY):
    return join(parts, tip=TIP, key=key, count=count)


def forged(part, **changes):
    """Return a changed part with an HMAC under a key that its maker does not have."""
    return replace(part, mac=bytes(32), **changes)


@pytest.mark.parametrize(
    "length",
    [1, SLICE_BYTES - 1, SLICE_BYTES, SLICE_BYTES + 1, 2 * SLICE_BYTES, 2 * SLICE_BYTES + 1, 10 * SLICE_BYTES + 77],
)
def test_what_is_split_comes_back_in_any_order(length):
    """Bytes of any length come back from their bundles, whatever order the parts arrive in."""
    data = random.Random(length).randbytes(length)
    parts = split_all(data, tip=TIP, key=KEY, ids=ids)
    assert len(parts) == count_parts(length)
    bundles = [pack_part(part) for part in parts]
    assert {len(bundle) for bundle in bundles} == {BUNDLE_BYTES}
    random.Random(1).shuffle(bundles)
    assert joined(map(read_part, bundles), count=len(parts)) == data


@given(st.binary(min_size=1, max_size=3000), st.permutations(range(3)))
def test_any_bytes_come_back(tail, order):
    """Whatever is in the slices, they come back, and each part's bundle gives the same part again."""
    data = DATA[: 2 * SLICE_BYTES] + tail
    parts = split_all(data, tip=TIP, key=KEY, ids=ids)
    assert [read_part(pack_part(part)) for part in parts] == parts
    assert joined([parts[place] for place in order]) == data


def test_part_json_is_as_the_contract_says():
    """`part.json` has the contract's fields; the HMAC covers ids, number, count and data, the SHA-256 all the data."""
    members = unpack(PART_BUNDLE, re.compile(".*"))
    assert list(members) == ["part.json", "data"]
    placed = f"{ids(3)}{TIP}".encode() + bytes([0, 0, 0, 3]) + bytes([0, 0, 0, 3])
    assert json.loads(members["part.json"]) == {
        "format": "haumaru-part/1",
        "id": ids(3),
        "tip": TIP,
        "part": 3,
        "of": 3,
        "mac": hmac.new(KEY, b"haumaru/part/1" + placed + DATA[2 * SLICE_BYTES :], "sha256").hexdigest(),
        "sha256": hashlib.sha256(DATA).hexdigest(),
    }
    assert members["data"] == DATA[2 * SLICE_BYTES :]


def test_the_longest_part_fits_one_bundle():
    """A full slice with the largest numbers is exactly one bundle."""
    largest = Part(ids(1), TIP, MAX_PARTS, MAX_PARTS, bytes(32), bytes(32), bytes(SLICE_BYTES))
    assert len(pack_part(largest)) == BUNDLE_BYTES
    with pytest.raises(BundleError, match=r"^part$"):
        replace(largest, data=bytes(SLICE_BYTES + 1))


def test_an_envelope_that_came_twice_changes_nothing():
    """Each part counts once, however often it arrives."""
    assert joined([*PARTS, *PARTS, PARTS[1]]) == DATA


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_missing_part_is_said(gone):
    """While a part is missing nothing is joined, and the caller can count those that are here."""
    here = PARTS[:gone] + PARTS[gone + 1 :]
    with pytest.raises(BundleError, match=r"^parts-missing$"):
        joined(here)
    assert sorted(proven_parts(here, tip=TIP, key=KEY, count=3)) == sorted({1, 2, 3} - {gone + 1})


@pytest.mark.parametrize(
    "lie",
    [
        forged(PARTS[1], data=bytes(SLICE_BYTES)),
        forged(PARTS[1]),
        replace(PARTS[1], data=bytes(SLICE_BYTES)),
        replace(PARTS[1], id=OTHER),
        replace(PARTS[0], number=2),
        replace(PARTS[0], number=2, id=ids(2)),
        replace(PARTS[1], tip=OTHER),
        replace(PARTS[1], of=4),
        split_all(DATA, tip=OTHER, key=KEY, ids=ids)[1],
        replace(split_all(DATA, tip=OTHER, key=KEY, ids=ids)[1], tip=TIP),
        split_all(DATA, tip=TIP, key=bytes(32), ids=ids)[1],
        split_all(DATA + bytes(SLICE_BYTES), tip=TIP, key=KEY, ids=ids)[1],
    ],
    ids=[
        "forged",
        "no-mac",
        "other-data",
        "other-id",
        "swapped",
        "swapped-with-id",
        "foreign",
        "other-count",
        "of-another-tip",
        "moved-from-another-tip",
        "other-key",
        "longer",
    ],
)
def test_a_lie_neither_gets_in_nor_spoils_the_join(lie):
    """A candidate that does not prove itself is passed over, before or after the true part, and never joined."""
    assert joined([lie, *PARTS]) == DATA
    assert joined([*PARTS, lie]) == DATA
    with pytest.raises(BundleError, match=r"^parts-missing$"):
        joined([PARTS[0], lie, PARTS[2]])


def test_swapped_slices_are_refused():
    """Two parts that trade their places prove nothing."""
    one, two = PARTS[:2]
    with pytest.raises(BundleError, match=r"^parts-missing$"):
        joined([replace(one, data=two.data), replace(two, data=one.data), PARTS[2]])


def test_four_candidates_are_tried():
    """Of the candidates for one number four are tried: the true one is found as the fourth, not as the fifth."""
    lies = [forged(PARTS[1], id=ids(number)) for number in range(10, 10 + MAX_CANDIDATES)]
    assert MAX_CANDIDATES == 4
    assert joined([PARTS[0], PARTS[2], *lies[1:], PARTS[1]]) == DATA
    with pytest.raises(BundleError, match=r"^parts-missing$"):
        joined([PARTS[0], PARTS[2], *lies, PARTS[1]])
    proven = [part for part in (*PARTS[::2], *lies, PARTS[1]) if is_proven(part, tip=TIP, key=KEY, count=3)]
    assert joined(proven) == DATA, "who has the words can try every candidate"


def test_candidates_of_other_tips_use_up_no_attempt():
    """Only candidates for this tip and this count are tried."""
    foreign = [forged(PARTS[1], tip=OTHER)] * 9 + [forged(PARTS[1], of=7)] * 9
    assert joined([*foreign, *PARTS]) == DATA


def test_a_proven_part_with_another_hash_is_refused():
    """The SHA-256 of all the slices must be right too, which is what a reader with stock tools can check."""
    with pytest.raises(BundleError, match=r"^part$"):
        joined([PARTS[0], replace(PARTS[1], sha256=bytes(32)), PARTS[2]])


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x"},
        {"tip": "../" + TIP[3:]},
        {"number": 0},
        {"number": 4},
        {"number": True},
        {"number": 2.0},
        {"of": MAX_PARTS + 1},
        {"of": 10**30},
        {"of": True, "number": True},
        {"mac": bytes(31)},
        {"sha256": b""},
        {"data": b""},
        {"data": bytes(SLICE_BYTES + 1)},
        {"number": 2},
    ],
)
def test_a_malformed_part_cannot_be_made(changes):
    """A part with a wrong id, place, HMAC or length is refused; only the last slice may be short, so none overlap."""
    with pytest.raises(BundleError):
        replace(PARTS[2], **changes)


def test_too_much_is_refused():
    """More than 8,192 parts are refused before a slice is cut."""
    with pytest.raises(BundleError, match=r"^too-large$"):
        next(split(list, MAX_PARTS * SLICE_BYTES + 1, tip=TIP, key=KEY, ids=ids))


@pytest.mark.parametrize("ids", [lambda _: OTHER, lambda number: TIP if number == 2 else ids(number)])
def test_an_id_that_is_given_twice_is_refused(ids):
    """Every envelope of a tip has an id of its own."""
    with pytest.raises(BundleError, match=r"^part$"):
        split_all(DATA, tip=TIP, key=KEY, ids=ids)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_refused(key):
    """A key has 32 bytes."""
    with pytest.raises(BundleError, match=r"^part$"):
        split_all(DATA, tip=TIP, key=key, ids=ids)
    with pytest.raises(BundleError, match=r"^part$"):
        joined(PARTS, key=key)


def with_json(line):
    """Return the bundle of a part with another `part.json`."""
    return pack({**unpack(PART_BUNDLE, re.compile(".*")), "part.json": line})


FIELDS = json.loads(unpack(PART_BUNDLE, re.compile(".*"))["part.json"])


@pytest.mark.parametrize("value", ["null", '""', "0", "1.5", "true", "[]", "{}", '"x"', "[[]]", "1" + "0" * 5000])
@pytest.mark.parametrize("field", [*FIELDS, "new"])
def test_every_field_of_part_json_is_checked(field, value):
    """A value of another type or form in any field is refused."""
    line = json.dumps({**FIELDS, field: "here"}, separators=(",", ":"))
    with pytest.raises(BundleError):
        read_part(with_json(line.replace('"here"', value).encode()))


@pytest.mark.parametrize(
    "bundle",
    [
        b"",
        PART_BUNDLE[:-1],
        PART_BUNDLE + b"\0",
        with_json(b""),
        with_json(b"null"),
        with_json(b"[" * 20_000),
        with_json(json.dumps(FIELDS).encode()),
        with_json(json.dumps({**FIELDS, "mac": FIELDS["mac"].upper()}, separators=(",", ":")).encode()),
        with_json(json.dumps({**FIELDS, "mac": " " + FIELDS["mac"]}, separators=(",", ":")).encode()),
        pack({"part.json": json.dumps(FIELDS, separators=(",", ":")).encode()}),
        pack({"data": b"x"}),
        pack(dict(reversed(unpack(PART_BUNDLE, re.compile(".*")).items()))),
        pack({**unpack(PART_BUNDLE, re.compile(".*")), "more": b""}),
    ],
)
def test_what_is_not_a_part_is_refused(bundle):
    """Another length, another JSON, a missing, further or moved member is refused."""
    with pytest.raises(BundleError):
        read_part(bundle)


@given(st.data())
def test_any_changed_byte_is_found(data):
    """A byte that is changed anywhere in a part's bundle makes it unreadable, unproven, or wrong in its SHA-256."""
    records = [at for at in range(len(PART_BUNDLE)) if PART_BUNDLE[at : at + 2] == b"PK"]
    near = data.draw(st.sampled_from(records)) + data.draw(st.integers(0, 300))
    at = data.draw(st.sampled_from([near, data.draw(st.integers(0, len(PART_BUNDLE) - 1))]))
    at = min(at, len(PART_BUNDLE) - 1)
    flipped = bytes([PART_BUNDLE[at] ^ data.draw(st.integers(1, 255))])
    with pytest.raises(BundleError):
        joined([*PARTS[:2], read_part(PART_BUNDLE[:at] + flipped + PART_BUNDLE[at + 1 :])])


@given(st.binary(max_size=400), st.integers(0, 2000))
def test_garbage_is_no_part(data, at):
    """Random bytes, alone or in a good bundle, raise our error and no other."""
    changed = PART_BUNDLE[:at] + data + PART_BUNDLE[at + len(data) :]
    for bundle in (data, data.ljust(BUNDLE_BYTES, b"\0"), changed):
        if bundle != PART_BUNDLE:
            with pytest.raises(BundleError):
                joined([*PARTS[:2], read_part(bundle)])
