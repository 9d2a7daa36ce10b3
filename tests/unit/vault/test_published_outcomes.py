"""The signed file of figures: what is written is read back, and nothing else is accepted."""

import json
from base64 import b64decode
from dataclasses import replace
from datetime import date

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import OutcomesError
from app.vault.published_outcomes import (
    MAX_BYTES,
    MonthOutcomes,
    PublishedOutcomes,
    YearOutcomes,
    add_months,
    read_outcomes,
    sign_outcomes,
)
from app.vault.signature import SignatureContext, encode_public_key, public_bytes, sign

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_bytes(KEY)
TODAY = date(2027, 5, 9)
MONTHS = tuple(
    MonthOutcomes(add_months("2027-04", -place), 24, *((True, 9, None) if place >= 3 else ())) for place in range(12)
)
OUTCOMES = PublishedOutcomes(
    "intake", "2027-04", MONTHS, (YearOutcomes(2026, {"nothing": 12, "other": None}, {"work": 30}),)
)


def _read(data, *, agency="intake", key=PUBLIC, today=TODAY):
    return read_outcomes(data, agency=agency, key=key, today=today)


def _signed(fields):
    """Any members as a desk would sign them."""
    unsigned = json.dumps({**fields, "key": encode_public_key(PUBLIC)}, separators=(",", ":")).encode()
    signature = sign(SignatureContext.OUTCOMES, unsigned, KEY)
    return unsigned[:-1] + f',"signature":"{signature}"}}\n'.encode()


def _fields():
    fields = json.loads(sign_outcomes(OUTCOMES, KEY))
    return {name: value for name, value in fields.items() if name not in ("key", "signature")}


def test_what_is_signed_is_read_back():
    """The figures come back as they were, and signing them again gives the same bytes."""
    data = sign_outcomes(OUTCOMES, KEY)
    assert _read(data) == OUTCOMES
    assert sign_outcomes(_read(data), KEY) == data


def test_the_signed_bytes_are_the_file_without_its_signature(tmp_path):
    """Any tool for Ed25519 checks the signature: the context, and the bytes of the file without that member."""
    data = sign_outcomes(OUTCOMES, KEY)
    before, _, after = data.partition(b',"signature":"')
    signature, _, end = after.partition(b'"')
    KEY.public_key().verify(b64decode(signature), b"haumaru/outcomes/1" + before + end.removesuffix(b"\n"))


@given(st.data())
def test_no_changed_file_is_read(data):
    """A byte changed, put in or cut off raises our error, whatever the byte."""
    whole = sign_outcomes(OUTCOMES, KEY)
    place, byte = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.binary(min_size=1, max_size=1))
    changed = data.draw(
        st.sampled_from(
            [whole[:place] + byte + whole[place + 1 :], whole[:place] + byte + whole[place:], whole[:place]]
        )
    )
    if changed != whole:
        with pytest.raises(OutcomesError):
            _read(changed)


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("outcomes-agency", {"agency": "second"}),
        ("outcomes-key", {"key": public_bytes(Ed25519PrivateKey.from_private_bytes(bytes(32)))}),
        ("outcomes-future", {"today": date(2027, 4, 30)}),
    ],
)
def test_figures_of_another_agency_key_or_of_a_month_that_goes_on_are_refused(code, given):
    """Only the figures of this very agency, and of months that are over, are read."""
    with pytest.raises(OutcomesError, match=f"^{code}$"):
        _read(sign_outcomes(OUTCOMES, KEY), **given)


def test_the_signature_of_another_purpose_is_refused():
    """What the desk signed for another purpose is no signature of figures."""
    unsigned, _, _ = sign_outcomes(OUTCOMES, KEY).partition(b',"signature":"')
    other = sign(SignatureContext.REFERRAL, unsigned + b"}", KEY).encode()
    with pytest.raises(OutcomesError, match="outcomes-signature"):
        _read(unsigned + b',"signature":"' + other + b'"}\n')


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields | {"format": "haumaru-outcomes/2"},
        lambda fields: fields | {"more": 1},
        lambda fields: dict(reversed(fields.items())),
        lambda fields: fields | {"months": []},
        lambda fields: fields | {"months": fields["months"][1:]},
        lambda fields: fields | {"months": fields["months"] * 2},
        lambda fields: fields | {"months": [fields["months"][0] | {"received": 5}, *fields["months"][1:]]},
        lambda fields: fields | {"months": [fields["months"][0] | {"received": 7}, *fields["months"][1:]]},
        lambda fields: fields | {"months": [fields["months"][0] | {"received": 9.0}, *fields["months"][1:]]},
        lambda fields: fields | {"months": [fields["months"][0] | {"received": True}, *fields["months"][1:]]},
        lambda fields: fields | {"months": [fields["months"][0] | {"closed": 6}, *fields["months"][1:]]},
        lambda fields: fields | {"years": [fields["years"][0] | {"year": 2027}]},
        lambda fields: fields | {"years": [fields["years"][0] | {"year": 2025}, fields["years"][0]]},
        lambda fields: fields | {"years": [fields["years"][0] | {"reasons": {"<b>": 6}}]},
        lambda fields: (
            fields | {"years": [fields["years"][0] | {"reasons": {f"r{'x' * n}": 6 for n in range(31)}}] * 4}
        ),
        lambda fields: fields | {"until": "2027-13"},
        lambda fields: fields | {"until": "9999-99"},
    ],
)
def test_a_form_that_no_desk_of_ours_writes_is_refused_though_signed(change):
    """A figure under six or between the threes, a gap between months, another member: refused, though signed."""
    assert _read(_signed(_fields())) == OUTCOMES
    with pytest.raises(OutcomesError):
        _read(_signed(change(_fields())))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b'"x"', b"\xff", b"[" * 20_000, b"1" * 9_000])
def test_other_bytes_are_refused(data):
    """Bytes that are no such file raise our error and nothing else."""
    with pytest.raises(OutcomesError):
        _read(data)


def test_a_long_file_is_not_even_parsed():
    """A file over the limit is refused by its length."""
    with pytest.raises(OutcomesError, match="outcomes-size"):
        _read(b" " * (MAX_BYTES + 1))


def test_the_largest_figures_fit():
    """Twelve months and three years of every reason and kind stay below the limit of the file."""
    names = {f"name-{chr(97 + number)}": 999_999 for number in range(20)}
    years = tuple(YearOutcomes(year, names, names) for year in (2026, 2025, 2024))
    data = sign_outcomes(replace(OUTCOMES, years=years), KEY)
    assert _read(data).years == years
    assert len(data) < MAX_BYTES // 4


def test_months_are_counted_over_the_end_of_a_year():
    """Months are added and taken away across years."""
    assert [add_months("2026-11", count) for count in (-11, 0, 1, 2, 14)] == [
        "2025-12",
        "2026-11",
        "2026-12",
        "2027-01",
        "2028-01",
    ]
