"""Words that a stranger writes against a terminal, and what of a text a terminal would obey."""

import unicodedata

# It clears the screen, sets the title, turns the line round, hides in a tag, and ends the line in two further ways.
HOSTILE = "a\x1b[2J\x1b]0;x\x07\x9b31m\u202egnp.exe\u2066\u200f\ufeff\U000e0041\u2028\x7f\x85z"
_ALLOWED = set("\n\u200c\u200d")


def obeyed(text: str) -> set[str]:
    """The characters of a text that a terminal or a reader's eye would follow."""
    return {one for one in text if unicodedata.category(one) in {"Cc", "Cf", "Zl", "Zp", "Cs", "Co"}} - _ALLOWED
