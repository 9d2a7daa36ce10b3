"""What comes in, where tips stand, who works on them."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.desk.case import (
    Case,
    CaseNote,
    Outcome,
    RedactionDraft,
    SentReferral,
    State,
    ThreadMessage,
    case_from_tip,
)
from app.desk.case_json import decode_case, encode_case
from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.desk.language_guess import guess_language
from app.desk.queue import Queue, QueueFilter
from app.desk.similarity import similar_groups, text_sketch
from app.desk.statistics import kept_rows, statistics_tables, tables_to_csv
from app.vault.age import seal
from app.vault.keys import new_identity, recipient_of
from app.vault.tip import new_decoy, new_tip_id, tip_to_bundle
from tests.support.desk import DAY, NOON, jpeg, receive, reply_to, tip


def test_envelopes_come_in_and_decoys_vanish(office):
    """Tips are kept as they came, sealed; a decoy leaves nothing, not even a line of the journal."""
    one, decoy = office.drop(tip(files=(jpeg(),))), new_decoy()
    office.drop(decoy)
    came = (office.inbox / f"{one}.age").read_bytes()
    with office.desk() as desk:
        receive(desk)
        assert [case.id for case in desk.cases.all()] == [one]
        assert (office.store / f"envelopes/{one}.age").read_bytes() == came
        assert list(office.inbox.iterdir()) == []
        assert [entry.tip for entry in desk.journal.entries] == [one]
        assert not list(office.store.rglob(f"*{decoy.id}*"))


def test_twins_are_one(office):
    """The same id twice is one tip: the first stays as it was, whatever the second says."""
    first = tip()
    office.drop(first)
    with office.desk() as desk:
        receive(desk)
        office.drop(replace(first, answers={"what": "something else"}))
        receive(desk)
        assert len(desk.cases.all()) == 1
        assert "packhouse" in desk.cases.all()[0].text("what")
        assert list(office.inbox.iterdir()) == []


def test_what_does_not_open_is_set_aside_with_its_reason(office):
    """A truncated envelope, one for somebody else, a wrong name, a link: each is listed, and the rest come in."""
    good = office.drop(tip())
    cut, other, wrong = tip(), tip(), tip()
    office.drop(cut)
    path = office.inbox / f"{cut.id}.age"
    path.write_bytes(path.read_bytes()[:-7])
    office.drop(other, recipients=(recipient_of(new_identity()),))
    office.drop(wrong, name=f"{new_tip_id()}.age")
    office.drop(tip(), name="../inbox/hello.age")
    (office.inbox / "link.age").symlink_to("/etc/passwd")
    with office.desk() as desk:
        receive(desk)
        assert [case.id for case in desk.cases.all()] == [good]
        reasons = sorted(code for _, code in desk.inbox.set_aside())
        assert reasons == ["file", "name", "name", "no-match", "payload"]
        name = next(f"{one}.{code}" for one, code in desk.inbox.set_aside() if code == "no-match")
        desk.inbox.retry("Ana", name)
        receive(desk)
        assert len(desk.inbox.set_aside()) == 5
        desk.inbox.destroy("Ana", name)
        assert len(desk.inbox.set_aside()) == 4
        with pytest.raises(RefusedError, match="gone"):
            desk.inbox.destroy("Ana", "../desk.age")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_no_bytes_stop_the_desk(office, data):
    """Any bytes, sealed or not, are a tip or set aside; never an error that ends the intake."""
    raw = data.draw(st.binary(max_size=300))
    bundle = bytearray(tip_to_bundle(tip()))
    place = data.draw(st.integers(0, 3000))
    bundle[place] ^= data.draw(st.integers(1, 255))
    sealed = seal(data.draw(st.sampled_from((raw, bytes(bundle)))), [recipient_of(office.identity)])
    name = data.draw(st.sampled_from((new_tip_id(), "x", "0" * 26)))
    (office.inbox / f"{name}.age").write_bytes(data.draw(st.sampled_from((raw, sealed))))
    with office.desk() as desk:
        receive(desk)
        assert not list(office.inbox.iterdir())
        assert len(desk.cases.all()) + len(desk.inbox.set_aside()) >= 1


def test_a_start_that_was_cut_short_loses_nothing(office):
    """Killed between the record and the envelope, the desk takes the envelope in at its next start, once."""
    one = office.drop(tip())
    envelope = (office.inbox / f"{one}.age").read_bytes()
    with office.desk() as desk:
        receive(desk)
    shutil.move(office.store / f"envelopes/{one}.age", office.inbox / f"{one}.age")
    lines = (office.store / "journal.jsonl").read_bytes()
    (office.store / "journal.jsonl").unlink()
    (office.store / "journal.head").unlink()
    assert lines
    with office.desk() as desk:
        receive(desk)
        assert [case.id for case in desk.cases.all()] == [one]
        assert (office.store / f"envelopes/{one}.age").read_bytes() == envelope
        assert [entry.did for entry in desk.journal.entries] == ["received"]
        assert desk.cases.original(desk.cases.get(one)).id == one


def test_opening_many_shows_its_progress_and_stops(office):
    """Work that is asked to stop ends after the item in hand; what is done stays done, the rest waits."""
    for _ in range(6):
        office.drop(tip())

    class Impatient(Job):
        def advance(self, count=1):
            super().advance(count)
            if self.done == 2:
                self.stop()

    with office.desk() as desk:
        work = Impatient("test")
        desk.inbox.receive(work)
        assert (work.done, work.total, len(desk.cases.all())) == (2, 6, 2)
        assert len(list(office.inbox.iterdir())) == 4
        receive(desk)
        assert len(desk.cases.all()) == 6


def test_two_never_work_one_tip(office):
    """Whoever claims first has it; the second is told, and can change nothing until it is given back."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(one, "Ana")
        with pytest.raises(RefusedError, match="claimed"):
            desk.cases.claim(one, "Ben")
        for act in (
            lambda: desk.cases.release(one, "Ben"),
            lambda: desk.cases.close(one, "Ben", "test"),
            lambda: desk.cases.redact(one, "Ben", RedactionDraft()),
        ):
            with pytest.raises(RefusedError, match="claimed"):
                act()
        desk.cases.release(one, "Ana")
        assert desk.cases.get(one).state is State.NEW
        assert desk.cases.claim(one, "Ben").holder == "Ben"
        desk.cases.release(one, "Ana", force=True)
        assert [entry.did for entry in desk.journal.entries][-1] == "took-away"


CHANGES = {
    "claim": lambda case, who: case.claimed(who),
    "release": lambda case, who: case.released(who),
    "redact": lambda case, who: case.with_draft(who, RedactionDraft()),
    "translate": lambda case, who: case.with_translation(who, "x", needs_translator=False),
    "hand-over": lambda case, who: case.sent_to_translator(who),
    "prepare": lambda case, who: case.prepared(who),
    "send-back": lambda case, who: case.sent_back(who),
    "reply": lambda case, who: case.with_reply(who, ThreadMessage(DAY, who, "x")),
    "close": lambda case, who: case.ended(who, DAY, "test", Outcome.UNKNOWN),
    "reopen": lambda case, who: case.reopened(who),
}
REDACTING = {"redact", "hand-over", "prepare"}
HOLDING = {"release", "translate", "reply", "close"}


@pytest.mark.parametrize(
    ("state", "holder", "allowed"),
    [
        (State.NEW, "", {"claim", "close"}),
        (State.WORK, "Ana", HOLDING | REDACTING),
        (State.WORK, "Ben", set()),
        (State.WAITING, "Ana", HOLDING | {"send-back"}),
        (State.WAITING, "Ben", {"send-back"}),
        (State.REFERRED, "Ana", HOLDING | REDACTING),
        (State.REFERRED, "", {"claim", "close"}),
        (State.CLOSED, "", {"reopen"}),
        (State.OBJECTIONABLE, "", set()),
    ],
)
def test_each_state_allows_its_changes_and_no_others(state, holder, allowed):
    """What Ana may do to a tip depends on its state and on who works on it; everything else is refused."""
    case = replace(case_from_tip(tip(), ()), state=state, holder=holder)
    passed = set()
    for name, change in CHANGES.items():
        try:
            change(case, "Ana")
        except RefusedError:
            continue
        passed.add(name)
    assert passed == allowed


def test_twenty_at_once_claim_and_one_has_it(office):
    """However many press Claim at the same moment, exactly one gets the tip and the journal has one claim."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)

        def claim(who):
            try:
                return desk.cases.claim(one, who).holder
            except RefusedError:
                return ""

        with ThreadPoolExecutor(20) as pool:
            got = [who for who in pool.map(claim, [f"handler {number}" for number in range(20)]) if who]
        assert got == [desk.cases.get(one).holder]
        assert [entry.did for entry in desk.journal.entries].count("claimed") == 1


def test_a_tip_changed_in_the_thread_of_another_is_searched_anew(office):
    """Search finds what was noted a moment ago, and no longer what was wiped."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        assert desk.queue.page(QueueFilter(words="inspector"), "Ana").total == 0
        desk.cases.note(one, "Ana", "told the inspector")
        assert desk.queue.page(QueueFilter(words="inspector"), "Ana").total == 1
        desk.cases.lock_away(one, "Ana")
        assert desk.queue.page(QueueFilter(words="inspector"), "Ana").total == 0


def test_the_state_of_a_tip_outlives_the_desk(office):
    """Claims, notes, outcomes and reasons are there again at the next start."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(one, "Ana")
        desk.cases.note(one, "Ben", "called the labour inspector")
        desk.cases.close(one, "Ana", "finished", Outcome.VICTIM_SAFE)
    with office.desk() as desk:
        case = desk.cases.get(one)
        assert (case.state, case.outcome, case.reason, case.notes[0].text) == (
            State.CLOSED,
            Outcome.VICTIM_SAFE,
            "finished",
            "called the labour inspector",
        )
        assert desk.cases.reopen(one, "Ana").state is State.WORK


def test_closed_tips_are_destroyed_when_their_time_is_over(office):
    """After `retain_days` record and envelope are gone, journaled, and their counts stay; locked ones stay whole."""
    old, locked, kept = (office.drop(tip()) for _ in range(3))
    later = {"now": NOON}
    with office.desk(clock=lambda: later["now"]) as desk:
        receive(desk)
        desk.cases.close(old, "Ana", "nothing", Outcome.NO_ACTION)
        desk.cases.lock_away(locked, "Ana")
        later["now"] += 29 * 86400
        desk.destroy_overdue()
        assert len(desk.cases.all()) == 3
        later["now"] += 2 * 86400
        desk.destroy_overdue()
        assert {case.id for case in desk.cases.all()} == {locked, kept}
        assert not list(office.store.rglob(f"{old}*"))
        assert desk.journal.entries[-1].did == "destroyed"
        assert [row["outcome"] for row in kept_rows(desk.store)] == ["no-action"]
        office.drop(tip(id=old))
        receive(desk)
        assert len(desk.cases.all()) == 2, "an id that was here once is known for good"


def test_a_locked_tip_is_wiped_and_never_changes(office):
    """Objectionable: its words leave the record, its envelope stays sealed, and nothing can be done with it."""
    one = office.drop(tip(files=(jpeg(),)))
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(one, "Ana")
        desk.cases.lock_away(one, "Ana")
        case = desk.cases.get(one)
        assert (dict(case.answers), case.files, case.reply) == ({}, (), None)
        assert b"packhouse" not in desk.store.read(f"tips/{one}.age")
        assert (office.store / f"envelopes/{one}.age").exists()
        for act in (
            lambda: desk.cases.original(case),
            lambda: desk.cases.claim(one, "Ana"),
            lambda: desk.cases.note(one, "Ana", "x"),
            lambda: desk.cases.close(one, "Ana", "test"),
        ):
            with pytest.raises(RefusedError, match="objectionable"):
                act()
        desk.cases.view(one, "Ben")
        assert [(entry.who, entry.did) for entry in desk.journal.entries][-1] == ("Ben", "opened")
        assert desk.queue.page(QueueFilter(view="objectionable", words="packhouse"), "Ana").total == 0


@pytest.mark.parametrize("order", [lambda first, answer: (first, answer), lambda first, answer: (answer, first)])
def test_an_answer_joins_its_thread(office, order):
    """Whichever comes first, an answer is found in the thread of the first tip, marks it, and is no row."""
    first = tip(reply=reply_to())
    answer = tip({"what": "They moved on Friday"}, reply=reply_to(), answers_to=reply_to().locator)
    stranger = tip({"what": "No thread here"}, answers_to="f" * 32)
    with office.desk() as desk:
        for one in (stranger, *order(first, answer)):
            office.drop(one)
            receive(desk)
        case = desk.cases.get(first.id)
        assert [(one.who, one.text) for one in case.thread] == [("", "They moved on Friday")]
        assert case.unread
        rows = {row.id for row in desk.queue.page(QueueFilter(), "Ana").rows}
        assert rows == {first.id, stranger.id}
        assert desk.queue.page(QueueFilter(view="answered"), "Ana").total == 1
        desk.cases.view(first.id, "Ana")
        assert desk.queue.page(QueueFilter(view="answered"), "Ana").total == 0


def test_danger_and_children_come_first_then_the_oldest_day(office):
    """The queue's order is that of urgency, whatever the order of arrival."""
    days = [DAY - timedelta(days=number) for number in range(4)]
    made = [
        tip({"what": "recent"}, received=days[0]),
        tip({"what": "old"}, received=days[3]),
        tip({"what": "child", "children": "yes"}, received=days[0]),
        tip({"what": "danger", "danger": "yes"}, received=days[0]),
        tip({"what": "both", "danger": "yes", "children": "yes"}, received=days[0]),
        tip({"what": "old child", "kinds": ("child",)}, received=days[2]),
    ]
    for one in made:
        office.drop(one)
    with office.desk() as desk:
        receive(desk)
        order = [case.text("what") for case in desk.queue.order()]
    assert order == ["both", "danger", "old child", "child", "old", "recent"]


def test_the_queue_is_filtered_and_searched(office):
    """By view, kind, danger, children, place, words in any answer or note, and whose they are."""
    office.drop(tip({"what": "A vineyard", "where": "Blenheim", "kinds": ("work",), "danger": "yes"}))
    two = office.drop(tip({"what": "A house", "where": "Ōtara", "kinds": ("domestic",), "children": "yes"}))
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(two, "Ana")
        desk.cases.note(two, "Ana", "Labour inspector informed")
        for wanted, total in (
            (QueueFilter(), 2),
            (QueueFilter(view="new"), 1),
            (QueueFilter(view="work"), 1),
            (QueueFilter(kind="domestic"), 1),
            (QueueFilter(danger=True, children=True), 0),
            (QueueFilter(place="ōTARA"), 1),
            (QueueFilter(words="vineyard BLENHEIM"), 1),
            (QueueFilter(words="inspector"), 1),
            (QueueFilter(words="inspector vineyard"), 0),
            (QueueFilter(mine=True), 1),
            (QueueFilter(view="closed"), 0),
        ):
            assert desk.queue.page(wanted, "Ana").total == total, wanted
        assert Queue(desk.cases).page(QueueFilter(page=99), "Ana").number == 1


def test_likely_repeats_are_grouped_by_their_text():
    """Two tips with nearly the same words are a group; different ones and very short ones are not."""
    one = "Workers at the vineyard are paid six dollars an hour in cash and sleep in two containers behind the shed"
    other = one.replace("two containers", "three containers") + " in winter"
    apart = (
        "A nail salon in Hamilton where all the women live upstairs and are driven everywhere by the owner's brother"
    )
    made = {
        "a": text_sketch(one),
        "b": text_sketch(other),
        "c": text_sketch(apart),
        "d": text_sketch("help"),
    }
    found = similar_groups({name: sketch for name, sketch in made.items() if sketch})
    assert found == {"a": frozenset("ab"), "b": frozenset("ab")}
    assert made["d"] == ()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "They are not paid and the boss keeps the passports of all the workers"),
        ("zh-Hans", "老板拿走了我们的护照"),
        ("hi", "मालिक ने हमारे पासपोर्ट रख लिए हैं"),
        ("mi", "Kei te mahi rātou i te pō, ā, kāore he utu ki a rātou"),
        ("ms", "Mereka tidak dibayar dan majikan ambil pasport mereka"),
        ("vi", "Họ không được trả lương và chủ giữ hộ chiếu của họ"),
        ("sm", "O loo galulue i latou i le po ma e le totogiina e le pule"),
        ("to", "'Oku nau ngāue 'i he pō pea 'oku 'ikai ke totongi kinautolu"),
        ("fj", "Era cakacaka tiko na tamata e na bogi ka sega ni saumi ira"),
        ("tl", "Hindi sila binabayaran at hawak ng amo ang mga pasaporte nila"),
        ("", "qwx zrt plm"),
    ],
)
def test_the_language_of_a_text_is_guessed(code, text):
    """Each of the ten languages is told from the others by its script or small words; nonsense is not guessed."""
    assert guess_language(text) == code


NAMES = st.text(min_size=1, max_size=12)
CASES = st.builds(
    Case,
    id=st.just("0" * 26),
    received=st.dates(),
    answers=st.dictionaries(NAMES, st.text() | st.lists(st.text(), max_size=3).map(tuple), max_size=4),
    reply=st.none() | st.just(reply_to()),
    state=st.sampled_from(State),
    holder=st.text(max_size=5),
    notes=st.lists(st.builds(CaseNote, st.dates(), st.text(), st.text()), max_size=2).map(tuple),
    thread=st.lists(st.builds(ThreadMessage, st.dates(), st.text(), st.text()), max_size=2).map(tuple),
    referrals=st.lists(
        st.builds(SentReferral, st.just("1" * 26), NAMES, NAMES, st.dates(), NAMES, NAMES, NAMES, NAMES), max_size=2
    ).map(tuple),
    draft=st.builds(
        RedactionDraft,
        marks=st.dictionaries(NAMES, st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))).map(tuple), max_size=2),
        boxes=st.dictionaries(
            NAMES,
            st.dictionaries(st.integers(0, 9), st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=2).map(tuple)),
            max_size=2,
        ),
        terms=st.lists(st.text(), max_size=2).map(tuple),
    ),
    outcome=st.sampled_from(Outcome),
    closed=st.none() | st.dates(),
    sketch=st.lists(st.integers(), max_size=3).map(tuple),
)


@given(CASES)
def test_a_record_is_read_as_it_was_written(case):
    """Every record survives its way through JSON."""
    surrogates = repr(case).encode("utf-8", "surrogatepass")
    assert surrogates
    assert decode_case(encode_case(case)) == case


def _cases(count, **answers):
    return [case_from_tip(tip({"what": "x", **answers}), ()) for _ in range(count)]


def test_small_counts_are_hidden_and_cannot_be_worked_out():
    """Under five is hidden; where one hidden count could be worked out from the others, a second is hidden too."""
    cases = [*_cases(9, kinds=("work",)), *_cases(4, kinds=("organs",), danger="yes")]
    cases = [replace(case, outcome=Outcome.INVESTIGATED) if place < 6 else case for place, case in enumerate(cases)]
    months = [replace(case, received=date(2026, 1 + place % 2, 1)) for place, case in enumerate(cases)]
    tables = {table.title: dict(table.rows) for table in statistics_tables(months, [], {})}
    assert tables["What they are about"] == {"work": "9", "organs": "hidden"}
    assert tables["Urgent"] == {"Someone in danger": "hidden"}
    assert tables["Outcomes"] == {"Investigated": "6", "Not known yet": "7", "Total": "13"}
    few = [replace(case, outcome=Outcome.VICTIM_SAFE) if place == 0 else case for place, case in enumerate(cases)]
    outcomes = {table.title: dict(table.rows) for table in statistics_tables(few, [], {})}["Outcomes"]
    assert outcomes == {"Victim safe": "hidden", "Investigated": "hidden", "Not known yet": "7"}
    assert "work" in tables_to_csv(statistics_tables(months, [], {}))


@pytest.fixture
def private():
    """The umask that the desk's door sets, for one test."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_who_may_read_the_store(office, private):
    """Every file and folder of the store is this user's alone."""
    office.drop(tip())
    with office.desk() as desk:
        receive(desk)
    assert [path for path in office.store.rglob("*") if path.stat().st_mode & 0o077] == []
