"""The figures that an agency publishes: what an attacker learns from them, and that none is ever counted anew."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.desk.case import case_from_words
from app.desk.case_fields import SentReferral, State
from app.desk.errors import RefusedError
from app.desk.journal import JournalEntry
from app.desk.outcome_counts import OutcomeCounts, geometric_number
from app.desk.statistics import keep_rows, statistics_tables
from app.vault.published_outcomes import read_outcomes
from app.vault.signature import public_bytes
from app.vault.tip import new_tip_id
from tests.support.desk import run_desk, tip, words_of

LARGEST = 40
RANGE = range(26)  # true counts that are tried


def noon(day):
    """The unix time of noon in New Zealand, or an hour beside it."""
    return datetime(day.year, day.month, day.day, 0, tzinfo=UTC).timestamp()


def case(month, *, kinds=(), referred=None, closed=None, reason="nothing"):
    """A case that came in a month, and the days of what became of it."""
    made = replace(
        case_from_words(words_of(tip({"what": "x", "kinds": kinds})), ()),
        received=date.fromisoformat(f"{month}-15"),
    )
    if referred:
        sent = SentReferral(new_tip_id(), "police", "Police", referred, "Ana", "", "{}", "")
        made = replace(made, referrals=(sent,), state=State.REFERRED)
    return replace(made, state=State.CLOSED, closed=closed, reason=reason) if closed else made


def signing_key(number):
    """One of many keys, the same in each run."""
    return Ed25519PrivateKey.from_private_bytes(sha256(b"%d" % number).digest())


def figure_of(changed):
    """What is published for a count to which the random number is added."""
    return None if changed < 6 else (changed + 1) // 3 * 3


def chances(count):
    """The exact chance of each figure for a true count."""
    found = Counter()
    for number in range(-LARGEST, LARGEST + 1):
        found[figure_of(count + number)] += Fraction(1, 4) * Fraction(3, 5) ** abs(number)
    return found


class Months:
    """A desk of its own whose clock a test sets; every tip is kept as a row of a destroyed case, or is here."""

    def __init__(self, desk, clock):
        self.desk, self.clock = desk, clock
        self.clock["is"] = noon(date(2026, 1, 10))
        desk.journal.write(JournalEntry("Ana", "noted"))

    def counts(self, key=None):
        return OutcomeCounts(self.desk.cases, key or signing_key(0), "intake")

    def keep(self, *cases):
        keep_rows(self.desk.store, cases)

    def publish(self, day, key=None):
        self.clock["is"] = noon(day)
        return self.counts(key).publish("Ana")

    def figures(self, day):
        self.clock["is"] = noon(day)
        return self.counts().preview()


@pytest.fixture
def months(office):
    """A desk since January 2026."""
    clock = {"is": noon(date(2026, 1, 1))}
    with office.desk(clock=lambda: clock["is"]) as desk:
        yield Months(desk, clock)


# What an attacker learns.


def test_the_random_numbers_have_the_chances_that_are_documented():
    """Over the whole range of a draw, each number takes the share 1/4 * (3/5)^|n| of the draws, to the last bit."""
    whole = 1 << 256
    for number in range(-4, 5):
        low = sum(_share(one) for one in _order() if _order().index(one) < _order().index(number))
        assert geometric_number(low) == number
        assert geometric_number(low + _share(number) - 1) == number
        assert abs(Fraction(_share(number), whole) - Fraction(1, 4) * Fraction(3, 5) ** abs(number)) < Fraction(
            1, 10**70
        )
    assert abs(geometric_number(whole - 1)) <= LARGEST


def _order():
    return [0, *(number for size in range(1, LARGEST + 1) for number in (size, -size))]


def _share(number):
    return (1 << 256) * 3 ** abs(number) // (4 * 5 ** abs(number))


def test_no_figure_tells_one_count_from_the_next():
    """Whatever is published, a tip more or less makes it at most 5/3 times as likely, for every count and figure."""
    cut_off = Fraction(1, 10**8)  # the chance of the random numbers that are too large to be drawn
    for count in RANGE:
        here, more = chances(count), chances(count + 1)
        for figure in here.keys() | more.keys():
            assert more[figure] <= Fraction(5, 3) * here[figure] + cut_off, (count, figure)
            assert here[figure] <= Fraction(5, 3) * more[figure] + cut_off, (count, figure)


def test_no_hidden_figure_of_any_small_table_is_solved_with_all_totals():
    """Who knows every other tip, and sees the total, is never sure of a hidden count: all of 0 to 5 stay possible.

    Tried are all tables with up to 18 other tips, and all totals that may be published with them. Of the counts 0 to 12
    that may lie behind "fewer than 6", none ever becomes more likely than two in three.
    """
    by_count = [chances(count) for count in range(31)]
    for others in range(19):
        for total in (None, 6, 9, 12, 15, 18, 21, 24):
            likely = [by_count[hidden][None] * by_count[others + hidden][total] for hidden in range(13)]
            assert min(likely[:6]) > 0
            assert max(likely) / sum(likely) < Fraction(2, 3), (others, total)


def test_five_tips_of_an_attacker_do_not_show_whether_a_sixth_person_wrote(months):
    """Who sends five tips of a kind and looks whether the figure is shown guesses right hardly more than by chance.

    The rule that hides counts under five alone is always right about such a guess: that is how it was before.
    """
    own = [case("2026-03", kinds=("organs",)) for _ in range(8)]
    for sent in (4, 5, 8):
        right = {}
        for others in (0, 1):
            found = Counter()
            for number in range(600):
                counts = months.counts(signing_key(number))
                found[counts._figure("2026 kind organs", sent + others)] += 1
            right[others] = found
        # The best guess: for each figure the number of others with which it came more often.
        best = sum(max(right[0][figure], right[1][figure]) for figure in right[0].keys() | right[1].keys())
        assert best / 1200 < 0.66, f"{sent} tips of the attacker's own"
    before = [
        dict(table.rows)
        for others in (0, 1)
        for table in statistics_tables([*own[:4], *(case("2026-03", kinds=("organs",)) for _ in range(others))], [], {})
        if table.title == "What they are about"
    ]
    assert list(before[0].values()) != list(before[1].values()), "hiding alone tells the two apart for certain"


def test_the_figures_stay_near_the_truth(months):
    """Four of five figures of a count of thirty lie within four of it, and their mean is right to a half."""
    figures = [months.counts(signing_key(number))._figure("2026-03 received", 30) for number in range(600)]
    assert sum(abs(figure - 30) <= 4 for figure in figures) / 600 > 0.8
    assert abs(sum(figures) / 600 - 30) < 0.5


# What is counted, and when.


def test_figures_count_what_became_of_tips_within_three_months(months):
    """A referral or a closing counts for the month in which the tip came, if it came within three months of its end."""
    march = [
        *(case("2026-03", referred=date(2026, 4, 2), closed=date(2026, 5, 2), reason="finished") for _ in range(60)),
        *(case("2026-03", closed=date(2026, 6, 30)) for _ in range(40)),
        *(case("2026-03", closed=date(2026, 7, 1)) for _ in range(80)),
        *(case("2026-03", referred=date(2026, 7, 1)) for _ in range(80)),
    ]
    months.keep(*march)
    newest = months.figures(date(2026, 7, 7)).months
    assert [one.month for one in newest] == [f"2026-0{number}" for number in (5, 4, 3, 2, 1)], "June needs a week more"
    assert [one.month for one in newest if one.is_counted] == ["2026-02", "2026-01"]
    found = {one.month: one for one in months.figures(date(2026, 7, 8)).months}
    assert abs(found["2026-03"].received - 260) < 24
    assert abs(found["2026-03"].referred - 60) < 24
    assert abs(found["2026-03"].closed - 100) < 24
    assert found["2026-06"].received is None or found["2026-06"].received < 24
    assert found["2026-06"].is_counted is False


def test_a_year_is_counted_whole_and_once(months):
    """A year's reasons and kinds come with the figures until March of the next; tests and repeats are of no kind."""
    months.keep(
        *(case("2026-02", kinds=("work", "debt"), closed=date(2026, 3, 1), reason="other") for _ in range(60)),
        *(case("2026-11", kinds=("work",)) for _ in range(60)),
        *(case("2026-12", kinds=("organs",), closed=date(2027, 1, 2), reason="test") for _ in range(60)),
    )
    assert months.figures(date(2027, 4, 7)).years == ()
    (year,) = months.figures(date(2027, 4, 8)).years
    assert year.year == 2026
    assert (abs(year.kinds["work"] - 120) < 24, abs(year.kinds["debt"] - 60) < 24) == (True, True)
    assert (abs(year.reasons["other"] - 60) < 24, abs(year.reasons["test"] - 60) < 24) == (True, True)
    assert year.kinds["organs"] is None or year.kinds["organs"] < 24
    assert len(months.figures(date(2027, 4, 8)).months) == 12


def test_a_figure_that_was_published_never_changes(months):
    """Saved again, the file is the same to the byte; a month later only new figures stand beside the old ones."""
    months.keep(*(case("2026-02", kinds=("work",)) for _ in range(9)))
    first = months.publish(date(2026, 3, 8))
    # A tip that came late, and one that was destroyed, change nothing; neither does another signing key.
    months.keep(*(case("2026-02", kinds=("work",)) for _ in range(30)))
    assert months.publish(date(2026, 3, 31)) == first
    second = json.loads(months.publish(date(2026, 4, 8), signing_key(1)))
    assert second["months"][1:] == json.loads(first)["months"]
    assert second["until"] == "2026-03"
    assert months.desk.journal.entries[-1].did == "published"
    assert (
        read_outcomes(first, agency="intake", key=public_bytes(signing_key(0)), today=date(2026, 3, 8)).until
        == "2026-02"
    )


def test_two_people_who_save_at_once_get_the_same_file(months):
    """Eight saves at the same moment give one file, byte for byte, and each has its line in the journal."""
    months.keep(*(case("2026-02") for _ in range(30)))
    months.clock["is"] = noon(date(2026, 3, 8))
    counts = months.counts()
    with ThreadPoolExecutor(8) as people:
        files = set(people.map(counts.publish, ["Ana", "Ben"] * 4))
    assert len(files) == 1
    assert [one.did for one in months.desk.journal.entries].count("published") == 8


def test_the_same_random_numbers_come_again_after_a_backup(months):
    """A store that came back without the figures makes the same figures, so that no mean of several draws helps."""
    months.keep(*(case("2026-02") for _ in range(9)))
    first = months.publish(date(2026, 3, 8))
    (months.desk.store.folder / "outcomes.age").unlink()
    assert months.publish(date(2026, 3, 9)) == first
    assert months.counts(signing_key(1)).publish("Ana") == months.publish(date(2026, 3, 9), signing_key(1))


def test_figures_made_under_a_clock_that_was_ahead_are_made_anew(months):
    """What was saved on a day that has not come yet, with too few tips, does not stay for good."""
    months.publish(date(2026, 9, 9))
    months.keep(*(case("2026-05") for _ in range(60)))
    (may,) = (one for one in months.figures(date(2026, 6, 9)).months if one.month == "2026-05")
    assert abs(may.received - 60) < 24


def test_tips_count_the_same_here_and_destroyed(months):
    """The rows that stay of destroyed cases hold all that the figures need."""
    cases = [
        *(case("2026-03", kinds=("work",), referred=date(2026, 4, 2), closed=date(2026, 4, 9)) for _ in range(20)),
        *(case("2026-03", kinds=("debt",), closed=date(2026, 5, 9), reason="repeat") for _ in range(20)),
    ]
    months.desk.cases.all = lambda: tuple(cases)
    here = months.figures(date(2027, 5, 9))
    months.keep(*cases[:25])
    assert months.figures(date(2027, 5, 9)) == here, "a case that is here and kept counts once"
    months.desk.cases.all = tuple
    months.keep(*cases)
    assert months.figures(date(2027, 5, 9)) == here


def test_rows_of_an_earlier_version_are_counted(months):
    """A row without the months of its referral and closing counts as passed on and closed in time."""
    old = {"danger": False, "children": False, "kinds": ["work"], "outcome": "", "authorities": ["police"]}
    rows = [{"id": f"{number:026}", "month": "2026-03", **old} for number in range(60)]
    months.desk.store.write("tally.age", json.dumps(rows).encode())
    found = {one.month: one for one in months.figures(date(2026, 7, 9)).months}
    assert min(found["2026-03"].received, found["2026-03"].referred, found["2026-03"].closed) > 36


def test_no_figures_before_a_month_is_over(months):
    """A desk in its first month, or within a week of it, refuses in words, and keeps nothing."""
    for day in (date(2026, 1, 31), date(2026, 2, 7)):
        with pytest.raises(RefusedError, match="no-month"):
            months.publish(day)
    assert not (months.desk.store.folder / "outcomes.age").exists()
    assert months.figures(date(2026, 2, 8)).until == "2026-01"


def test_the_command_saves_a_signed_file(office):
    """`haumaru-desk outcomes` writes what the desk's key signed, never over another file, and names what is missing."""
    with office.desk(clock=lambda: noon(date(2026, 9, 1))) as desk:
        desk.journal.write(JournalEntry("Ana", "noted"))
    target = office.folder / "outcomes.json"
    command = ["outcomes", "--config", str(office.config), "-o", str(target)]
    done = run_desk(*command)
    assert done.returncode == 0, done.stderr
    outcomes = read_outcomes(
        target.read_bytes(), agency="intake", key=public_bytes(office.key), today=datetime.now(UTC).date()
    )
    assert outcomes.months[-1].month == "2026-09"
    again = run_desk(*command)
    assert (again.returncode, "exists already" in again.stderr) == (2, True)
    office.config.write_text(office.config.read_text().partition("[site]")[0])
    missing = run_desk(*command[:-1], office.folder / "other.json")
    assert "[site] replies" in missing.stderr
    assert not (office.folder / "other.json").exists()
