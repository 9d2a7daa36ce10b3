"""Tips that say much the same."""

from app.desk.similarity import similar_groups, text_sketch


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
