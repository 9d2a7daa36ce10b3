"""Tips that say much the same."""

from app.desk.similarity import BINS, SimilarGroups, text_sketch


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
    groups = SimilarGroups()
    for name, sketch in made.items():
        groups.put(name, sketch)
    assert [groups.of(name) for name in "abcd"] == [frozenset("ab"), frozenset("ab"), frozenset(), frozenset()]
    assert made["d"] == ()


def test_a_group_follows_each_tip_that_comes_and_goes():
    """A tip that joined two others leaves them apart; an hour of flood is grouped without comparing all with all."""
    groups = SimilarGroups()
    middle = text_sketch(" ".join(f"word{number}" for number in range(40)))
    left, right = (BINS // 4 * (7, 8, 9, 11), BINS // 4 * (8, 9, 7, 12))
    one, other = (*middle[: BINS // 2], *left[: BINS // 2]), (*right[: BINS // 2], *middle[BINS // 2 :])
    for name, sketch in (("middle", middle), ("one", one), ("other", other)):
        groups.put(name, sketch)
    assert groups.of("one") == {"one", "middle", "other"}
    groups.put("middle", ())
    assert (groups.of("one"), groups.size("other"), groups.of("middle")) == (frozenset(), 0, frozenset())
    for number in range(3000):
        groups.put(f"flood{number}", middle)
    for number in range(1, 2990):
        groups.put(f"flood{number}", ())
    assert groups.size("flood0") == 11 + 2
