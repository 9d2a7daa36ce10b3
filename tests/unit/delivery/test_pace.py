"""The pace: when envelopes leave, which one is next, and how many lie in the outbox."""

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.delivery.memory_store import DECOY, EnvelopeKind
from app.delivery.pace import Beats, Pace, Slot, WaitingEnvelope, WindowPlans, choose, in_order, next_level
from app.vault.tip import new_tip_id

CHANCE = random.Random(11)  # a test repeats itself
PACE = Pace(cells=16, stock=64)


def waiting(kind: EnvelopeKind | None = DECOY, *, tried: bool = False) -> WaitingEnvelope:
    return WaitingEnvelope(new_tip_id(), tried, kind)


def words(rank: int = 0) -> WaitingEnvelope:
    return waiting(EnvelopeKind("words", rank))


def part(rank: int) -> WaitingEnvelope:
    return waiting(EnvelopeKind("part", rank))


# The plan of a window


@given(
    cells=st.integers(1, 128),
    stock=st.sampled_from([0, 64]),
    windows=st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 1)), min_size=1, max_size=9),
)
@settings(max_examples=300, deadline=None)
def test_a_plan_fills_all_cells(cells, stock, windows):
    """A window has a slot for each cell, and no more slots for tried envelopes than there are such envelopes."""
    plans = WindowPlans(Pace(cells, stock), CHANCE)
    for tried, succeeded in windows:
        plan = plans.next_window(tried=tried, succeeded=succeeded)
        assert len(plan) == cells
        assert plan.count(Slot.TRIED) <= min(tried, cells)


def plans(number: int, tried: int, *, succeeded: float = 0.0, pace: Pace = PACE) -> list[list[Slot]]:
    """The plans of so many windows, one after another."""
    windows = WindowPlans(pace, CHANCE)
    return [windows.next_window(tried=tried, succeeded=succeeded) for _ in range(number)]


def plan(tried: int, *, succeeded: float = 0.0) -> Counter[Slot]:
    return Counter(plans(1, tried, succeeded=succeeded)[0])


@pytest.mark.parametrize(("tried", "succeeded"), [(0, 1), (3, 0), (8, 0), (64, 0), (5000, 1)])
def test_tried_envelopes_take_half_of_the_cells_at_most(tried, succeeded):
    """Tried envelopes take at most half of a window's cells, and all that is their share."""
    assert {each.count(Slot.TRIED) for each in plans(20, tried, succeeded=succeeded)} == {min(tried, 8)}


@pytest.mark.parametrize("tried", [5, 50, 100, 400])
def test_new_envelopes_are_spread_evenly(tried):
    """No gap between two slots for new envelopes is much longer than another, from window to window too."""
    slots = [slot for plan in plans(200, tried) for slot in plan]
    places = [place for place, slot in enumerate(slots) if slot != Slot.TRIED]
    gaps = [later - before for before, later in itertools.pairwise(places)]
    assert max(gaps) <= 2 * min(gaps) + 1


def test_a_quarter_is_for_parts():
    """A quarter of the cells is for parts; where tried envelopes take half, half of what is left."""
    assert plan(0)[Slot.PART] == 4
    assert plan(50)[Slot.PART] == 4


@pytest.mark.parametrize("succeeded", [0.0, 0.2])
def test_a_long_outage_fills_no_disk(succeeded):
    """Where nearly everything is refused for a month, the envelopes tried grow ever more slowly, or not at all."""
    tried, windows = 0, WindowPlans(PACE, CHANCE)
    for _ in range(30 * 144):
        retried = windows.next_window(tried=tried, succeeded=succeeded).count(Slot.TRIED)
        tried += round((16 - retried) * (1 - succeeded) - retried * succeeded)
    assert tried < 1000  # 260 MB
    assert succeeded or tried > 256


def test_after_an_outage_new_tips_have_their_half_again():
    """However many envelopes were tried, as soon as deliveries succeed half of the cells are for new ones."""
    assert plan(800)[Slot.TRIED] >= 15
    assert plan(800, succeeded=1.0)[Slot.TRIED] == 8


def test_one_cell_a_window_serves_all():
    """Where one envelope leaves in a window, tried ones and new ones share the windows, as do words and parts."""
    counts = Counter(plan[0] for plan in plans(2000, 2, pace=Pace(1, 4)))
    assert counts[Slot.TRIED] == 1000
    assert counts[Slot.PART] >= 250
    assert counts[Slot.WORDS] >= 250


# The choice


def test_words_leave_before_parts_and_parts_before_decoys():
    """Each slot prefers its own kind, then other tips, then decoys, then what was tried."""
    old, decoy, mine, slice_ = waiting(tried=True), waiting(), words(), part(3)
    every = [decoy, slice_, old, mine]
    preferred = {Slot.WORDS: [mine, slice_, decoy, old], Slot.PART: [slice_, mine, decoy, old]}
    preferred[Slot.TRIED] = [old, mine, slice_, decoy]
    for slot, order in preferred.items():
        left = list(every)
        for expected in order:
            assert choose(slot, left, random=CHANCE) == expected
            left.remove(expected)
        assert choose(slot, left, random=CHANCE) is None


def test_what_is_unknown_counts_as_words():
    """An envelope that the memory store does not know leaves before parts and decoys."""
    unknown = waiting(None)
    for _ in range(50):
        assert choose(Slot.WORDS, [waiting(), part(1), unknown], random=CHANCE) == unknown


def test_smaller_tips_leave_first_but_for_a_quarter():
    """Three of four times a part of the smallest tip leaves; else any, so that a large tip is not put off for ever."""
    small, large = [part(2) for _ in range(2)], [part(190) for _ in range(18)]
    chosen = Counter(choose(Slot.PART, small + large, random=CHANCE) in small for _ in range(4000))
    assert 0.73 < chosen[True] / 4000 < 0.82  # 0.75, and a tenth of the rest


def test_tried_ones_and_decoys_are_chosen_at_random():
    """Whether a tried envelope is a tip, a part or a decoy does not matter; nor does the order of decoys."""
    for group in ([waiting(kind, tried=True) for kind in (DECOY, None, EnvelopeKind("part", 1))], [waiting()] * 1):
        counts = Counter(choose(Slot.TRIED, group, random=CHANCE).id for _ in range(3000))
        assert all(abs(count - 3000 / len(group)) < 200 for count in counts.values())
        assert len(counts) == len(group)


def test_without_a_pace_tips_leave_first():
    """Where all is delivered at once, words leave before parts, parts before decoys, and what was tried last."""
    every = [waiting(), part(3), waiting(tried=True), words(), waiting(None), part(1), waiting()]
    kinds = [(one.tried, one.kind.name if one.kind else "words") for one in in_order(every, random=CHANCE)]
    assert kinds == [(False, name) for name in ("words", "words", "part", "part", "decoy", "decoy")] + [(True, "decoy")]


# The level


@pytest.mark.parametrize(
    ("before", "tips", "unknown", "level"),
    [
        (0, 0, 0, 64),  # at first start
        (64, 48, 0, 64),
        (64, 49, 0, 128),
        (64, 400, 0, 1024),
        (128, 33, 0, 128),  # it does not come down at once
        (128, 32, 0, 64),
        (1024, 0, 0, 64),
        (0, 0, 64, 128),  # after the memory store was lost
        (0, 0, 2000, 128),  # and lost again and again
    ],
)
def test_the_level_grows_in_steps(before, tips, unknown, level):
    """The level is the stock × a power of two, with a quarter of decoys at least, and comes down late."""
    lying = [words() for _ in range(tips)] + [waiting(None) for _ in range(unknown)]
    lying += [waiting(tried=True), waiting(None, tried=True)]
    assert next_level(before, PACE, lying) == level


# The beats


def begin(beats: Beats, now: float) -> float:
    """Wait for the next beat and begin it; return when."""
    beats.next_beat(now)
    now += beats.seconds_left(now)
    beats.begin(now)
    return now


def test_beats_are_even():
    """One beat each interval, exactly, on the grid of all windows, whatever small delays there are."""
    beats, begun = Beats(37.5), []
    now = 1_795_326_000.0 + 100
    for _ in range(64):
        begun.append(begin(beats, now))
        now = begun[-1] + CHANCE.random() * 3
    assert begun[0] == 1_795_326_000 + 93.75 + 37.5
    assert {later - before for before, later in itertools.pairwise(begun)} == {37.5}


def test_beats_slip_and_never_bunch():
    """After a slow delivery, a pause or an outage the next beat is late, and all that follow keep the distance."""
    beats, begun = Beats(37.5), []
    now = 1_795_326_000.0
    for number in range(300):
        begun.append(begin(beats, now))
        now = begun[-1] + {7: 120.0, 8: 50.0, 99: 36_000.0}.get(number, 0.1)
    gaps = [later - before for before, later in itertools.pairwise(begun)]
    assert min(gaps) >= 37.5
    assert [gap for gap in gaps if gap > 45] == [gaps[7], gaps[8], gaps[99]]
    assert gaps[7] < 120 + 5
    assert gaps[8] < 50 + 5


def test_a_beat_that_begins_late_puts_the_next_one_off():
    """Where the machine sleeps while it waits for a beat, the beat after that one is a whole interval away."""
    beats = Beats(37.5)
    now = begin(beats, 1_795_326_000.0)
    beats.next_beat(now)
    woken = now + 36_000
    assert beats.seconds_left(woken) == 0
    beats.begin(woken)
    assert beats.next_beat(woken + 1) == woken + 37.5


def test_a_clock_that_is_set_back_stops_nothing():
    """Where the clock jumps back, the next beat is one interval away."""
    beats = Beats(37.5)
    now = begin(beats, 1_795_326_000.0)
    beats.next_beat(now)
    assert beats.seconds_left(1_795_000_000.0) == 37.5
    assert beats.seconds_left(1_795_000_030.0) == 7.5
