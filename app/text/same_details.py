"""Numbers, addresses and names of firms in one form, so that two texts that name the same one can be brought together.

A telephone number is written as E.164 (ITU-T), digits of every script and width as 0 to 9, letters as small ones
without accents. A number plate, account or address is compared as people write it in New Zealand. What many texts
have by chance, such as 111 or an amount of money, is left out. The time is linear in the text; nothing is refused.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import phonenumbers

from app.text.details import find_details
from app.text.patterns import PHONE_REGIONS, PhoneLookups, find_patterns, to_ascii_form
from app.text.phrases import Finding, PhraseTrie, cues_of
from app.text.words import Word, fold_word, split_words, without_accents


class SameDetail(NamedTuple):
    """One detail of a text: its kind, the form in which it is compared, and the words as they stand in the text."""

    kind: str
    form: str
    shown: str


DETAIL_KINDS: Final = ("plate", "phone", "address", "account", "email", "handle", "document", "firm")

_KINDS: Final[Mapping[str, str]] = {"bank": "account", "passport": "document", "licence": "document"}
_STREET_TYPES: Final = {
    "st": "street", "rd": "road", "ave": "avenue", "cres": "crescent", "pl": "place", "ln": "lane", "dr": "drive",
    "tce": "terrace", "hwy": "highway", "路": "road", "街": "street", "रोड": "road", "स्ट्रीट": "street",
    "एवेन्यू": "avenue",
}  # fmt: skip
# Since 2001 three letters and up to three digits, before that two letters and up to four; fewer than four are flights.
_PLATE: Final = re.compile(
    r"(?<![\w@./-])([A-HJ-NP-Z]{3}[ -]?\d{2,3}|[A-HJ-NP-Z]{2}[ -]?\d{4}|[a-hj-np-z]{3}\d{3})(?![\w@%])", re.ASCII
)
# Three letters before an amount of money or a tax, and short words that stand before a number.
_NO_PLATES: Final = frozenset(
    "nzd aud usd fjd myr php inr vnd cny rmb gst ird kwh abn apt bus car flt cnr bed set day may jan feb mar apr jun"
    " jul aug sep oct nov dec mon tue wed thu fri sat sun the and for pay few all est ext fax tel nhi".split()
)
_SMALL_LETTER: Final = re.compile(r"[^\W\d_A-Z]")
_PLATE_REACH: Final = 25  # characters beside a plate with a blank, in which a text that is not all capitals has others

# A letter, but no Chinese one, beside a name belongs to the name: Chinese has no blanks.
_EDGE, _END = r"(?<![^\W\u3400-\u9fff])", r"(?![^\W\u3400-\u9fff])"
_CAPITALIZED: Final = r"[A-Z](?:[^\W\u3400-\u9fff]|['’-]){1,20}"
_CAPITAL_RUN: Final = re.compile(rf"{_EDGE}{_CAPITALIZED}(?: (?:& )?{_CAPITALIZED}){{1,5}}{_END}")
_ARTICLES: Final = frozenset("the our this that their his her ang".split())
_LEGAL_WORDS: Final = frozenset("ltd limited holdings group company".split())
_TRADES: Final = frozenset(
    "orchard orchards packhouse farm farms dairy vineyard vineyards restaurant takeaway takeaways massage spa nails"
    " salon contracting contractors labour hire recruitment services construction builders scaffolding cleaning"
    " fisheries fishing motel hotel lodge backpackers transport logistics trading enterprises horticulture".split()
)
_MIN_NAME: Final = 3  # letters of a word with which a name begins: "Ko" and "Na" are articles
# A firm written as one word: HarvestPro. Names of networks are accounts, and names of persons begin otherwise.
_CAMEL: Final = re.compile(
    rf"{_EDGE}(?!Mc|Mac|De|La|Le|Du|Van|Fa|O')[A-Z][a-z]{{2,15}}[A-Z][a-z]{{1,15}}(?:[A-Z][a-z]{{1,15}})?{_END}"
)
_NETWORKS: Final = frozenset(
    "wechat whatsapp tiktok youtube facetime paypal linkedin kakaotalk westpac airbnb onlyfans snapchat moneygram"
    " worksafe myir realme".split()
)

_MAX_STREET_WORDS, _MAX_SMALL_STREET_WORDS, _MAX_HAN_STREET = 3, 2, 6
_MIN_STREET, _MIN_HAN_STREET = 3, 2  # letters
_HAN_NUMBER: Final = frozenset("号號")
_MIN_HANDLE, _MIN_ACCOUNT, _MIN_DOCUMENT = 4, 8, 6
_MIN_PHONE: Final = 8  # digits; a shorter number is one of many countries
_FREEPHONES: Final = ("+64800", "+64508")
_ACCOUNT_PARTS: Final = 4  # bank, branch, account, suffix
_AT: Final = re.compile(r"[\s()\[\]{}]*(?:@|\bat\b)[\s()\[\]{}]*")
_DOT: Final = re.compile(r"[\s(\[{]*(?:\.|\bdot\b)[\s)\]}]*")
_AROUND_ACCOUNT: Final = re.compile(r"^(?:https?://)?(?:www\.|m\.)?|[/?#.]+$")


def same_details(text: str, phrases: PhraseTrie, lookups: PhoneLookups | None = None) -> tuple[SameDetail, ...]:
    """Return what in a cleaned text (`clean_text`) other texts may name too, each once, in the order of the text."""
    plain = _with_plain_characters(text)
    words = split_words(plain)
    cues = cues_of(words, phrases.matches(words))
    ascii_text = to_ascii_form(plain)
    shapes = find_patterns(ascii_text, cues, lookups or PhoneLookups(), about_suspects=False)
    found = [(one, _form(one.kind, plain[one.start : one.end])) for one in shapes]
    found += [*_plates(plain), *_firms(plain)]
    streets = {cue.start for cue in cues.get("street", ())}
    for one in find_details(plain, ascii_text, cues):
        if one.kind == "place":
            first, last = (bisect_left(words, place, key=lambda word: word.start) for place in (one.start, one.end))
            form = _address_form(words[first:last], streets, phrases.stop_words)
            found.append((Finding(one.start, one.end, "address"), form))
    details = {
        (_KINDS.get(one.kind, one.kind), form): text[one.start : one.end].strip()
        for one, form in _without_inner(each for each in found if each[1])
    }
    return tuple(SameDetail(kind, form, shown) for (kind, form), shown in details.items())


def phone_form(text: str) -> str:
    """Return a telephone number as E.164, read as people in `PHONE_REGIONS` dial; otherwise its digits alone."""
    digits = "".join(filter(str.isdigit, text))
    dialled = f"+{digits}" if digits.startswith("64") and not text.startswith("+") else text
    for region in PHONE_REGIONS:
        try:
            number = phonenumbers.parse(dialled, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return digits


def _without_inner(found: Iterable[tuple[Finding, str]]) -> list[tuple[Finding, str]]:
    """Return in the order of the text what lies within no longer finding: an account is no telephone number."""
    kept: list[tuple[Finding, str]] = []
    for one, form in sorted(found, key=lambda each: (each[0].start, -each[0].end)):
        if not kept or one.end > kept[-1][0].end:
            kept.append((one, form))
    return kept


def _with_plain_characters(text: str) -> str:
    """Return the text with digits and letters of other widths as ASCII; each character stays one, and its case."""
    if text.isascii():
        return text
    table = {}
    for character in set(text):
        digit = unicodedata.digit(character, None)
        same = str(digit) if digit is not None else unicodedata.normalize("NFKC", character)
        table[ord(character)] = same if len(same) == 1 else character
    return text.translate(table)


def _plates(text: str) -> Iterator[tuple[Finding, str]]:
    for match in _PLATE.finditer(text):
        plate = "".join(filter(str.isalnum, match.group())).casefold()
        # In a text all in capitals "HIM 200" would be a plate.
        around = text[max(0, match.start() - _PLATE_REACH) : match.end() + _PLATE_REACH]
        is_plate = " " not in match.group() or _SMALL_LETTER.search(around)
        if is_plate and plate.rstrip("0123456789") not in _NO_PLATES:
            yield Finding(*match.span(), "plate"), plate


def _firms(text: str) -> Iterator[tuple[Finding, str]]:
    """Yield names with capital letters that end in a trade, or in "Ltd", and names such as HarvestPro."""
    for match in _CAPITAL_RUN.finditer(text):
        words = [without_accents(fold_word(word)) for word in match.group().replace("& ", "").split()]
        while words and (len(words[0]) < _MIN_NAME or words[0] in _ARTICLES):
            words = words[1:]
        last = max((at for at, word in enumerate(words) if word in _TRADES | _LEGAL_WORDS), default=-1)
        name = [word for word in words[: last + 1] if word not in _LEGAL_WORDS]
        if not _TRADES.issuperset(name):
            yield Finding(*match.span(), "firm"), " ".join(name)
    for match in _CAMEL.finditer(text):
        if match.group().casefold() not in _NETWORKS:
            yield Finding(*match.span(), "firm"), match.group().casefold()


def _form(kind: str, text: str) -> str:
    """Return the form in which a number or an account is compared; "" for what is not compared."""
    small = to_ascii_form(text)
    letters = "".join(filter(str.isalnum, small))
    if kind == "phone":
        number = phone_form(small)
        return number if len(number) >= _MIN_PHONE and not number.startswith(_FREEPHONES) else ""
    if kind == "email":
        spelled = " " in text and "@" in text  # "insta @name" is no address
        return "" if spelled else _DOT.sub(".", _AT.sub("@", small))
    if kind == "handle":
        account = _AROUND_ACCOUNT.sub("", small).removeprefix("@")
        return account if len(account) >= _MIN_HANDLE else ""
    if kind == "bank":
        parts = re.split(r"[ -]", small)
        # The suffix has two digits or three: 00 and 000 are one.
        suffix = parts[-1].lstrip("0").rjust(2, "0")
        account = "".join([*parts[:-1], suffix]) if len(parts) == _ACCOUNT_PARTS else letters
        return account if len(account) >= _MIN_ACCOUNT else ""
    return letters if kind in _KINDS and len(letters) >= _MIN_DOCUMENT else ""


def _address_form(inside: Sequence[Word], cues: Collection[int], stop: frozenset[str]) -> str:
    """Return the number, name and kind of a street; "" where one of them is missing, or the words are no name.

    `cues` are the places of the words for a street.
    """
    kind = next((word for word in inside if word.start in cues), None)
    numbers = [at for at, word in enumerate(inside) if word.forms[0].isdigit()]
    if kind is None or not numbers:
        return ""
    number, rest = inside[numbers[-1]].forms[0], inside[numbers[-1] + 1 :]
    if rest and rest[0].start == inside[numbers[-1]].end and rest[0].end == rest[0].start + 1 and not rest[0].han:
        number, rest = number + rest[0].forms[0], rest[1:]  # 12a
    name = [word for word in rest if word.start not in cues and word.forms[0] not in _HAN_NUMBER]
    if not _is_street_name(name, stop):
        return ""
    street = without_accents(kind.forms[0])
    return " ".join([number, *(without_accents(word.forms[0]) for word in name), _STREET_TYPES.get(street, street)])


def _is_street_name(name: Sequence[Word], stop: frozenset[str]) -> bool:
    """Return whether words can be the name of a street: "girls on queen" are none."""
    if not name:
        return False
    folded = [without_accents(word.forms[0]) for word in name]
    small = any(not word.capital for word in name if word.forms[0].isascii())
    most = _MAX_SMALL_STREET_WORDS if small else _MAX_STREET_WORDS
    if name[0].han:
        return _MIN_HAN_STREET <= len(name) <= _MAX_HAN_STREET
    return len(name) <= most and sum(map(len, folded)) >= _MIN_STREET and not (small and stop.intersection(folded))
