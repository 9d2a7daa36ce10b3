"""What strangers wrote, as a terminal may show it: no character that moves the cursor, reverses a line or hides.

A terminal obeys control characters (ECMA-48), and a line follows bidirectional ones (UAX #9): a report could otherwise
write over what the program said. Joiners stay, because Hindi needs them and they do nothing else.
"""

import unicodedata

import click

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
_FIRST_ASTRAL = 0x10000


def escape_json(line: str) -> str:
    """Return JSON of the same value in which such characters are escapes (RFC 8259, 7)."""
    return "".join(_json_escape(one) if _is_hidden(one) else one for one in line)


def escape_text(text: str) -> str:
    """Return a text, of one line or several, in which U+FFFD stands for each such character."""
    return "".join("\ufffd" if one not in "\n\t" and _is_hidden(one) else one for one in text)


def escape_line(text: str) -> str:
    """Return a text as one line, in which U+FFFD stands for each such character, line ends among them."""
    return escape_text(text).replace("\n", "\ufffd")


def warn(words: str) -> None:
    """Print one line of `haumaru-desk` to standard error."""
    click.echo(f"haumaru-desk: {escape_line(words)}", err=True)


def _is_hidden(character: str) -> bool:
    if " " <= character <= "~" or character == "\n" or character in _JOINERS:
        return False
    return unicodedata.category(character) in _HIDDEN_CATEGORIES


def _json_escape(character: str) -> str:
    code = ord(character)
    if code < _FIRST_ASTRAL:
        return f"\\u{code:04x}"
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in (0, 2))
