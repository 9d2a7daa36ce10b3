"""Unicode hygiene: remove from a text the characters that nobody sees or needs, and change no visible word.

`clean_text` is for text that a person typed into a form, `clean_document_text` for text of an attached document.
Both clean any string and refuse none; a string may have lone surrogates. Runs of combining marks are cut before every
normalisation, so the time is linear in the text. The sandboxed worker imports this module, so the module imports
nothing of ours. Sources: Unicode 15.1, Unicode Standard Annex #15, Unicode Technical Standard #39.
"""

import re
import unicodedata
from typing import Final

MAX_MARKS: Final = 30
"""The most combining marks in a row (the stream-safe text of UAX #15, section 13); a longer row is cut."""

LOOKALIKES: Final = {
    "a": "ɑαа", "b": "ЬᏏᑲᖯ", "c": "ⲥсϲꮯ", "d": "ԁᏧᑯꓒ", "e": "ꬲе", "f": "ꬵ", "g": "ɡց", "h": "һհᏂ", "i": "іꙇꭵᎥ𑣃",
    "j": "ϳј", "n": "ոռ", "o": "ᴑꬽοⲟоօסهഠဝ𐓪𑣈𑣗𐐬", "p": "ρⲣр", "q": "ԛգզ", "r": "ꭈᴦⲅгꮁ", "s": "ѕꮪ𑣁𐑈", "u": "ꞟυս𐓶𑣘",
    "v": "νѵט𑜆ꮩ𑣀", "w": "ɯѡԝա𑜊𑜎𑜏ꮃ", "x": "хᕁᕽ", "y": "уүყ𑣜", "z": "ꮓ𑣄",
    "A": "ΑАᎪᗅꓮ𖽀𐊠", "B": "ꞴΒВᏴᗷꓐ𐊂𐊡𐌁", "C": "𑣲ⲤСϹᏟꓚ𐊢𐌂𐐕𐔜", "D": "Ꭰᗞᗪꓓ", "E": "ΕЕⴹᎬꓰ𑢦𑢮𐊆", "F": "Ϝᖴꓝ𑣂𑢢𐊇𐊥𐔥", "G": "ԌᏀᏳꓖ",
    "H": "ΗⲎНᎻᕼꓧ𐋏", "I": "ΙⲒІӀӏⵏᛁꓲ𖼨𐊊𐌉𐌠ǀ", "J": "ͿЈᎫᒍꓙ", "K": "ΚⲔКᏦᛕꓗ𐔘", "L": "ⳐᏞᒪꓡ𖼖𑢣𑢲𐐛𐔦", "M": "ΜϺⲘМᎷᗰᛖꓟ𐊰𐌑",
    "N": "ΝⲚꓠ𐔓", "O": "ΟⲞОՕⵔዐଠ𐓂ꓳ𑢵𐊒𐊫𐐄𐔖", "P": "ΡⲢРᏢᑭꓑ𐊕", "Q": "ⵕ", "R": "ƦᎡᏒ𐒴ᖇꓣ𖼵", "S": "ЅՏᏕᏚꓢ𖼺𐊖𐐠",
    "T": "ΤⲦТᎢꓔ𖼊𑢼𐊗𐊱𐌕", "U": "Սሀ𐓎ᑌꓴ𖽂𑢸", "V": "ѴⴸᏙᐯꛟꓦ𖼈𑢠𐔝", "W": "𑣯ԜᎳᏔꓪ", "X": "𐌢𑣬ꞳΧⲬХⵝᚷꓫ𐊐𐊴𐌗𐔧", "Y": "ΥⲨУҮᎩᎽꓬ𖽃𑢤𐊲",
    "Z": "𐋵ΖᏃꓜ𑢩",
}  # fmt: skip
"""Letters of other alphabets by the Latin letter that they look like (from the confusables.txt of UTS #39, 15.1)."""

_PLAIN_SIGNS: Final = (
    dict.fromkeys("‘’‚‛‹›ʹʻʼʽˋ′‵`´Ꞌꞌ", "'")
    | dict.fromkeys("“”„‟«»″‶〝〞〟", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2043\u2212\u02d7\ufe63\uff0d\u2796\u2cba", "-")
    | dict.fromkeys("\u2015\ufe58\u2e3a\u2e3b", "\u2014")
    | dict.fromkeys("\r\x0b\x0c\x85\u2028\u2029", "\n")
    | {"\n": "\n", "\t": "\t", "\u2800": " ", "\u200c": "\u200c", "\u200d": "\u200d"}
)
_LINE_END: Final = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_REMOVED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co"})
# Characters that print nothing: Default_Ignorable_Code_Point (DerivedCoreProperties.txt, 15.1), non-characters, the
# object replacement character, and letters and marks whose glyph is empty.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\ufffc\ufdd0-\ufdef\ufffe\uffff\U00013430-\U00013446\U00016fe4\U0001bca0-\U0001bca3"
    "\U0001d159\U0001d173-\U0001d17a\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0003fffe-\U0010ffff]"
)
# Here a newer Unicode than this Python's may have letters or pictures that people use: Chinese, and emoji.
_MAY_BE_NEW: Final = re.compile("[\U0001f000-\U0001faff\U00020000-\U0003fffd]")
_SAME_LETTER_TAGS: Final = (
    "<font>",
    "<wide>",
    "<narrow>",
    "<compat>",
    "<initial>",
    "<medial>",
    "<final>",
    "<isolated>",
)
# Letters that their script writes in this form in spite of a decomposition: Armenian, Arabic, Thai, Lao and Korean.
_OWN_LETTERS: Final = re.compile("[\u0587\u0675-\u0678\u0e00-\u0eff\u3131-\u318e\uffa1-\uffdc]")
_RADICALS: Final = re.compile("[\u2e80-\u2fd5]")
_LONGEST_FOLD: Final = 3
# A joiner changes the visible text in two places: in an Indic script, after a letter, an optional nukta and a virama,
# and before a letter; and between two pictures of one emoji. Anywhere else a joiner is a hidden mark.
_VIRAMA: Final = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
_PICTURE: Final = "\u2600-\u27bf\u2b05-\u2b55\U0001f000-\U0001faff"
_JOINER: Final = re.compile(
    rf"(?<=[\u0904-\u0939\u0958-\u0df4][{_VIRAMA}])[\u200c\u200d](?=[\u0904-\u0939\u0958-\u0961\u0980-\u0df4])"
    rf"|(?<=[\u0904-\u0939]\u093c[{_VIRAMA}])[\u200c\u200d](?=[\u0904-\u0939])"
    rf"|(?<=[{_PICTURE}])\u200d(?=[{_PICTURE}]|[\u2194\u2195](?![\u0300-\u036f\u200c\u200d]))"
    "|([\u200c\u200d])"
)
_LATIN_OF: Final = {ord(other): letter for letter, others in LOOKALIKES.items() for other in others}
_ANY_LOOKALIKE: Final = re.compile(f"[{''.join(LOOKALIKES.values())}]")
_LETTERS: Final = re.compile(r"(?:[^\W\d_]|[\u0300-\u036f])++")
_LATIN: Final = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_LATIN_ONLY: Final = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff\u0300-\u036f]*+")
_DIGITS: Final = re.compile(r"\d++")
_SPACES: Final = re.compile(" {2,}+")
_EMPTY_LINES: Final = re.compile("\n{3,}+")


def clean_text(untrusted_text: str) -> str:
    """Return typed text without hidden characters, in NFC; cleaning a cleaned text changes nothing.

    Line ends become newlines, every kind of space becomes a space, and several spaces or empty lines become one. Quotes
    and glottal marks become ' and ", hyphens and short dashes become -, letters and digits of other widths or styles
    become plain. A word of Latin letters and letters that only look Latin becomes Latin. The function removes controls,
    everything that prints nothing (variation selectors too: an emoji stays an emoji without them), private-use, lone
    surrogate and unassigned code points, joiners that change nothing, and spaces at line ends. Chinese punctuation
    stays.
    """
    return _clean(untrusted_text.replace("\t", " "))


def clean_document_text(untrusted_text: str) -> str:
    """Return a document's text as `clean_text` does, but keep the tabs between its columns."""
    return _clean(untrusted_text)


def has_hidden_characters(untrusted_text: str) -> bool:
    """Return whether a text holds characters, other than joiners, that `clean_text` removes."""
    return any(not _plain(character) for character in set(untrusted_text))


def compose(text: str) -> str:
    """Return the text in NFC, its rows of combining marks cut to `MAX_MARKS`; linear in the text.

    Normalisation sorts each row of marks in quadratic time, so the rows are cut first.
    """
    if text.isascii():
        return text
    # A mark may decompose into several marks, so a row can be too long again.
    return _cut_marks(unicodedata.normalize("NFC", _cut_marks(text)))


def unify_line_ends(text: str) -> str:
    """Return the text with every kind of line end as one newline (Unicode Standard, section 5.8)."""
    return _LINE_END.sub("\n", text)


def _cut_marks(text: str) -> str:
    marks = {ord(character): "m" if _begins_with_mark(character) else " " for character in set(text)}
    if "m" not in marks.values():
        return text
    kept, at = [], 0
    for row in re.finditer(f"m{{{MAX_MARKS}}}(m+)", text.translate(marks)):
        kept.append(text[at : row.start(1)])
        at = row.end(1)
    return "".join([*kept, text[at:]])


def _begins_with_mark(character: str) -> bool:
    """Return whether a character is a combining mark, or decomposes into marks, as U+0F73 does."""
    return unicodedata.combining(unicodedata.normalize("NFD", character)[0]) > 0


def _clean(untrusted_text: str) -> str:
    text = compose(unify_line_ends(untrusted_text))
    text = compose(text.translate({ord(character): _plain(character) for character in set(text)}))
    if not text.isascii():
        text = compose(_JOINER.sub(lambda match: "" if match[1] else match[0], text))
        text = compose(_LETTERS.sub(_latin_word, text)) if _ANY_LOOKALIKE.search(text) else text
        text = _DIGITS.sub(_one_script, text)
    lines = (line.rstrip(" \t") for line in _SPACES.sub(" ", text).split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip(" \n")


def _plain(character: str) -> str:
    """Return the replacement of a character in a cleaned text, "" for a character that prints nothing."""
    if " " <= character <= "~" and character != "`":
        return character
    if (sign := _PLAIN_SIGNS.get(character)) is not None:
        return sign
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    is_unassigned = category == "Cn" and not _MAY_BE_NEW.match(character)
    if is_unassigned or category in _REMOVED_CATEGORIES or _INVISIBLE.match(character):
        return ""
    if category[0] in "LN" or _RADICALS.match(character):
        return _same_letter(character)
    return character


def _same_letter(character: str) -> str:
    """Return a letter or number without its width or style: fullwidth, mathematical, a ligature, a Kangxi radical."""
    if not unicodedata.decomposition(character).startswith(_SAME_LETTER_TAGS) or _OWN_LETTERS.match(character):
        return character
    plain = unicodedata.normalize("NFKC", character)
    return "".join(_PLAIN_SIGNS.get(part, part) for part in plain) if len(plain) <= _LONGEST_FOLD else character


def _latin_word(match: re.Match[str]) -> str:
    """Return a word in Latin letters if the word has some, and all its other letters look Latin."""
    word = match.group()
    latin = word.translate(_LATIN_OF)
    return latin if _LATIN.search(word) and _LATIN_ONLY.fullmatch(latin) else word


def _one_script(match: re.Match[str]) -> str:
    """Return a number in ASCII digits if the number has digits of several scripts."""
    number = match.group()
    if number.isascii() or len({ord(digit) - unicodedata.digit(digit) for digit in number}) == 1:
        return number
    return "".join(str(unicodedata.digit(digit)) for digit in number)
