"""The tip as a value: its ids, and what cannot be made."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from app.core.errors import BundleError
from app.vault import tip
from app.vault.tip import MAX_FILES, ReplyTo, Tip, TipFile

ID = tip.TipId("0123456789abcdefghjkmnpqrs")
SMALL = Tip(ID, date(2026, 11, 22), {"what": "They hold his passport.\nHe sleeps at work."})


def test_ids_are_random_and_hold_no_order():
    """A thousand ids differ, are 26 letters of the alphabet, and do not come in order."""
    ids = [tip.new_tip_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert ids != sorted(ids)
    assert all(tip.parse_tip_id(text) == text for text in ids)
    assert set("".join(ids)) == set("0123456789abcdefghjkmnpqrstvwxyz")


@pytest.mark.parametrize("text", ["", ID[:-1], ID + "0", ID.upper(), "../" + ID[3:], "i" * 26, ID + "\n", "٣" * 26])
def test_other_ids_are_refused(text):
    """What is not exactly such an id cannot become a file's name."""
    with pytest.raises(BundleError, match=r"^id$"):
        tip.parse_tip_id(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(SMALL, id="x"),
        lambda: replace(SMALL, received=datetime(2026, 11, 22, 13, 5, tzinfo=UTC)),
        lambda: replace(SMALL, answers={"what": 5}),
        lambda: replace(SMALL, answers={"what": ("a", None)}),
        lambda: replace(SMALL, answers={"What?": "a"}),
        lambda: replace(SMALL, answers_to="two words"),
        lambda: replace(SMALL, decoy=1),
        lambda: TipFile("files/../1.jpg", "image/jpeg", (), b""),
        lambda: TipFile("/etc/passwd", "image/jpeg", (), b""),
        lambda: TipFile("files/0.jpg", "image/jpeg", (), b""),
        lambda: TipFile("files/1.jpg\n", "image/jpeg", (), b""),
        lambda: TipFile("files/1.jpg", "jpeg", (), b""),
        lambda: TipFile("files/1.jpg", "image/jpeg", (5,), b""),
        lambda: ReplyTo(bytes(31), "L"),
        lambda: ReplyTo(bytes(32), ""),
    ],
)
def test_a_malformed_tip_cannot_be_made(make):
    """A time, a path that leaves its folder, a wrong type or half a character is refused when it is made."""
    with pytest.raises(BundleError):
        make()


def test_a_tip_has_ten_files_at_most():
    """Eleven files, or one path twice, make no tip."""
    many = tuple(TipFile(f"files/{number}.jpg", "image/jpeg", (), b"") for number in range(1, 12))
    assert replace(SMALL, files=many[:MAX_FILES]).files == many[:10]
    for wrong in (many, many[:1] * 2):
        with pytest.raises(BundleError, match=r"^tip$"):
            replace(SMALL, files=wrong)


def test_a_decoy_is_a_tip_that_nobody_sent():
    """Decoys say what they are, and no two are alike."""
    one, other = tip.new_decoy(), tip.new_decoy()
    assert one.decoy
    assert one.id != other.id
    assert one.answers != other.answers
