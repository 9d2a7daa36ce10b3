"""Unicode hygiene: remove from a text what nobody sees and nobody needs, and change no visible word.

`clean_text` is for what a person typed into a form, `clean_document_text` for what stood in an attached document.
Both refuse nothing: any string is cleaned, lone surrogates included. Both take linear time and normalise to NFC
(Unicode Standard Annex #15). The sandboxed worker imports this module, so the module imports nothing of ours.
"""

import re
import unicodedata
from typing import Final

_QUOTES: Final = str.maketrans(dict.fromkeys("‘’‚‛‹›ʹʻʼʽˋ′‵`´Ꞌꞌ", "'") | dict.fromkeys("“”„‟«»″‶〝〞〟", '"'))
_LINE_ENDS: Final = "\r\x0b\x0c\x85\u2028\u2029"
_LINE_END: Final = re.compile(f"\r\n|[{_LINE_ENDS}]")
_REMOVED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co"})
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\ufdd0-\ufdef\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0003fffe-\U0010ffff]"
)
_ZERO_WIDTH_JOINERS: Final = "\u200c\u200d"
# A joiner shapes what is read in two places: in an Indic script after a letter, an optional nukta and a virama, and
# before a letter; and between two pictures of one emoji. Anywhere else a joiner is a hidden mark.
_VIRAMA: Final = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
_PICTURE: Final = "\u2600-\u27bf\u2b05-\u2b55\U0001f000-\U0001faff"
_JOINER: Final = re.compile(
    rf"(?<=[\u0904-\u0939\u0958-\u0df4][{_VIRAMA}])[\u200c\u200d](?=[\u0904-\u0939\u0958-\u0961\u0980-\u0df4])"
    rf"|(?<=[\u0904-\u0939]\u093c[{_VIRAMA}])[\u200c\u200d](?=[\u0904-\u0939])"
    rf"|(?<=[{_PICTURE}])\u200d(?=[{_PICTURE}]|[\u2194\u2195](?![\u0300-\u036f\u200c\u200d]))"
    "|([\u200c\u200d])"
)
# Documents keep their tabs, and every joiner, for Hindi and emoji.
_KEPT_IN_DOCUMENTS: Final = "\n\t" + _ZERO_WIDTH_JOINERS


def clean_text(untrusted_text: str) -> str:
    """Return typed text without hidden characters, in NFC; cleaning a cleaned text changes nothing.

    Line ends become newlines, every kind of space becomes a space, typographic quotes and glottal marks become ' and ".
    Removed are controls, bidirectional marks, zero-width marks, variation selectors (an emoji stays an emoji without
    them), tags, private-use and lone surrogate code points, spaces at line ends, and empty lines around the text.
    Chinese punctuation stays.
    """
    text = unicodedata.normalize("NFC", untrusted_text.replace("\r\n", "\n"))
    text = "".join(map(_clean_character, text)).translate(_QUOTES)
    text = unicodedata.normalize("NFC", text)
    text = unicodedata.normalize("NFC", _JOINER.sub(lambda match: "" if match[1] else match[0], text))
    return "\n".join(line.rstrip(" ") for line in text.split("\n")).strip(" \n")


def clean_document_text(untrusted_text: str) -> str:
    """Return a document's text with newlines as its line ends, without control or invisible characters.

    The text is composed (NFC) first. Unlike in `clean_text`, spaces, tabs, quotes and joiners stay as they are.
    """
    text = unify_line_ends(unicodedata.normalize("NFC", untrusted_text))
    return text.translate({ord(character): None for character in set(text) if not _stays_in_document(character)})


def unify_line_ends(text: str) -> str:
    """Return the text with every kind of line end as one newline (Unicode Standard, section 5.8)."""
    return _LINE_END.sub("\n", text)


def _clean_character(character: str) -> str:
    if character == "\n" or " " <= character <= "~":
        return character
    if character in _LINE_ENDS:
        return "\n"
    category = unicodedata.category(character)
    if category == "Zs" or character in "\t\u2800":
        return " "
    if character in _ZERO_WIDTH_JOINERS:
        return character
    if category in _REMOVED_CATEGORIES or _INVISIBLE.match(character):
        return ""
    return character


def _stays_in_document(character: str) -> bool:
    if character in _KEPT_IN_DOCUMENTS:
        return True
    # Variation selectors print nothing, and a row of them can spell a name.
    is_selector = "\ufe00" <= character <= "\ufe0f" or character >= "\U000e0000"
    return not is_selector and unicodedata.category(character) not in _REMOVED_CATEGORIES
