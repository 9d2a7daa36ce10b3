"""What a handler typed and did not save: kept sealed, for that handler alone, until it is saved or its time is over."""

import errno
import json
import os

import pytest

from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.desk.typed import MAX_OF_HANDLER, MAX_TYPED, TypedText
from tests.support.desk import NOON, Office, receive, tip

DAY_SECONDS = 86_400.0
WORDS = "half a thought about the foreman"


def _text(tip_id, words=WORDS, *, who="Ana", form="note", window="w1", number=1):
    return TypedText(who, tip_id, form, window, (("text", words),) if words else (), number)


def _words(desk, tip_id, who="Ana", form="note"):
    return [text.first("text") for text in desk.typed.of(who, tip_id, form)]


@pytest.fixture
def one(office, desk):
    """The id of a tip."""
    tip_id = office.drop(tip())
    receive(desk)
    return tip_id


def _files(office):
    return sorted((office.store / "typed").glob("*")) if (office.store / "typed").exists() else []


def test_a_text_comes_back_after_a_crash_and_a_disk_shows_no_word_of_it(office):
    """Kept and killed: the next start has the text; its file names nobody, shows a day, and one length of many."""
    with office.desk() as desk:
        made = office.drop(tip())
        receive(desk)
        desk.typed.keep(_text(made))
        desk.typed.keep(_text(made, "A much longer text. " * 40, form="reply", window="w2"))
        assert len({path.stat().st_size for path in _files(office)}) == 1
        for path in _files(office):
            assert path.stat().st_mtime % 3600 == 0
            assert made not in path.name
            assert not any(word in path.read_bytes() for word in (b"thought", b"Ana", made.encode()))
    with office.desk() as desk:
        assert _words(desk, made) == [WORDS]
        assert desk.typed.forms("Ana", made) == {"note", "reply"}
        assert desk.typed.forms("Ben", made) == frozenset()


def test_two_windows_lose_nothing(desk, one):
    """Each window replaces its own text, and the one from which it went on; what comes late does not."""
    desk.typed.keep(_text(one, "first", number=2))
    desk.typed.keep(_text(one, "older", number=1))
    desk.typed.keep(_text(one, "second", window="w2"))
    assert _words(desk, one) == ["second", "first"]
    desk.typed.keep(_text(one, "third", window="w3"), continues="w1")
    assert _words(desk, one) == ["third", "second"]
    desk.typed.end("Ana", one, "note", {"w3", "w1"})
    desk.typed.keep(_text(one, "too late", window="w3", number=9))
    assert _words(desk, one) == ["second"]
    desk.typed.keep(_text(one, "", window="w2", number=2))
    assert _words(desk, one) == []


def test_a_text_ends_with_its_tip(office, desk, one):
    """Locked away or destroyed, a tip takes what was typed about it along, from memory and disk, and takes no more."""
    desk.typed.keep(_text(one))
    desk.cases.lock_away(one, "Ben")
    desk.typed.drop_ended()
    assert _files(office) == []
    with pytest.raises(RefusedError, match="objectionable"):
        desk.typed.keep(_text(one, number=2))
    other = office.drop(tip({"what": "Another"}))
    receive(desk)
    desk.typed.keep(_text(other))
    desk.cases.destroy([desk.cases.get(other)])
    desk.destroy_overdue()
    assert _files(office) == []
    with pytest.raises(RefusedError, match="gone"):
        desk.typed.keep(_text(other, number=2))


def test_a_text_whose_tip_ended_while_the_desk_was_killed_is_destroyed_at_the_next_start(office):
    """Given a tip that was locked away and a desk killed before its texts were destroyed, the start destroys them."""
    with office.desk() as desk:
        made = office.drop(tip())
        receive(desk)
        desk.typed.keep(_text(made))
        desk.cases.lock_away(made, "Ben")
        assert len(_files(office)) == 1
    with office.desk():
        assert _files(office) == []


def test_a_text_is_destroyed_after_seven_days_and_never_by_a_step_of_the_clock(tmp_path):
    """Two looks a day apart agree before it goes; one that does not open goes then, too, and stops no start."""
    office, now = Office(tmp_path), [NOON]
    with office.desk(clock=lambda: now[0]) as desk:
        made = office.drop(tip())
        receive(desk)
        desk.typed.keep(_text(made))
        desk.typed.keep(_text(made, form="reply"))
    broken = _files(office)[0]
    times = (broken.stat().st_atime, broken.stat().st_mtime)
    broken.write_bytes(b"damaged")
    os.utime(broken, times)
    with office.desk(clock=lambda: now[0]) as desk:
        for days, left in ((6.9, 2), (7, 2), (7.5, 2), (8, 0)):
            now[0] = NOON + days * DAY_SECONDS
            desk.destroy_overdue()
            assert len(_files(office)) == left, days


def test_what_is_too_long_or_misnamed_is_kept_nowhere(office, desk, one):
    """5 MB of text, and forms and windows with names that no page of ours has, are refused; the earlier text stays."""
    desk.typed.keep(_text(one))
    for text in (
        _text(one, "x" * 5_000_000, number=2),
        _text(one, "x" * (MAX_TYPED + 1), window="w2"),
        _text(one, form="../tips"),
        _text(one, window="w" * 100),
        _text("../../etc/passwd"),
    ):
        with pytest.raises(RefusedError):
            desk.typed.keep(text)
    desk.typed.keep(_text(one, "half of a character: \ud83d", number=3))
    assert _words(desk, one) == ["half of a character: \ufffd"]
    assert len(_files(office)) == 1


def test_the_texts_of_one_handler_are_bounded(office, desk):
    """Beyond sixty texts the one that nobody has typed in for longest goes, and nobody else's."""
    tips = [office.drop(tip({"what": f"Tip {number}"})) for number in range(MAX_OF_HANDLER + 1)]
    receive(desk)
    desk.typed.keep(_text(tips[0], who="Ben"))
    for made in tips:
        desk.typed.keep(_text(made))
    assert _words(desk, tips[0]) == []
    assert [_words(desk, made) for made in tips[1:]] == [[WORDS]] * MAX_OF_HANDLER
    assert _words(desk, tips[0], who="Ben") == [WORDS]


def test_all_texts_of_one_handler_together_are_bounded(desk, one):
    """Ten texts of half a million characters: the oldest go, and those that stay have four million at most."""
    for number in range(10):
        desk.typed.keep(_text(one, "x" * 490_000, form=f"boxes-{number}"))
    kept = desk.typed.forms("Ana", one)
    assert kept == {f"boxes-{number}" for number in range(2, 10)}


def test_a_full_disk_keeps_the_text_as_it_was_before(desk, one, monkeypatch):
    """Given a disk that is full, keeping is refused with `disk-full`, and the earlier text is still there."""
    desk.typed.keep(_text(one))

    def full(*_args, **_more):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("app.desk.store.write_atomically", full)
    with pytest.raises(RefusedError, match="disk-full"):
        desk.typed.keep(_text(one, "more", number=2))
    assert _words(desk, one) == [WORDS]


def test_a_store_that_gets_a_new_key_opens_what_was_typed(office, desk, one):
    """Sealing the store anew seals what was typed anew, too."""
    desk.typed.keep(_text(one))
    before = _files(office)[0].read_bytes()
    desk.cases.reseal(Job("test"))
    assert _files(office)[0].read_bytes() != before
    raw = json.loads(desk.store.read(f"typed/{_files(office)[0].name}"))
    assert (raw["handler"], raw["fields"]) == ("Ana", [["text", WORDS]])
