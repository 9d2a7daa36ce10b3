"""Details in one form: the same plate, number, address or firm is found however people write it, and nothing else."""

from collections import defaultdict

import pytest

from app.text.same_details import same_details
from tests.support.own_words import FOLDER, LANGUAGES, sentences
from tests.support.phrases import phrases


def forms(text: str) -> set[tuple[str, str]]:
    """The kind and form of each detail of a text."""
    return {one[:2] for one in same_details(text, phrases())}


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("plate", ["The van KTR482", "rego ktr482.", "KTR 482 is the van",
            "ＫＴＲ４８２ 的车", "गाड़ी KTR४८२", "KTR-482 car"]),
        ("phone", ["021 264 8897", "call +64 21 264 8897", "0064212648897",
            "०२१ २६४ ८८९७", "(021) 264-8897", "０２１ ２６４ ８８９７"]),
        ("address", ["12 Kowhai Road", "at 12 kōwhai rd, Te Puke", "flat 3/12 Kowhai Rd",
            "12号 Kowhai 路", "‘i he 12 Kowhai Road"]),
        ("account", ["12-3456-0789012-00", "to 12-3456-0789012-000 please", "１２-3456-0789012-00"]),
        ("email", ["Jobs@Harvest.example", "jobs (at) harvest.example", "jobs at harvest dot example"]),
        ("handle", ["@luxe.girls.akl", "insta: luxe.girls.akl"]),
        ("document", ["passport N7712045", "my passport no n7712045"]),
        ("firm", ["Golden Lotus Massage Ltd", "the Golden Lotus Massage", "o le Golden Lōtus Massage Limited"]),
        ("firm", ["They work for HarvestPro.", "果园是HarvestPro 的"]),
    ],
)  # fmt: skip
def test_one_detail_has_one_form_however_it_is_written(kind, texts):
    """Spaces, country codes, case, accents, width and script of digits, short forms of streets: all the same."""
    found = [{form for of, form in forms(text) if of == kind} for text in texts]
    assert len(set.union(*found)) == 1, found
    assert all(found)


@pytest.mark.parametrize(
    "text",
    [
        "Call 111, or 105, or 0800 20 00 88, or 0508 558 855.",
        "HE PAID NZD 200 AND 300 DOLLARS, GST 150",
        "2 girls on queen street, 3 men at Queen Street",
        "flight NZ283 in May 2026, 12/05/2026, 10 pm, room 12, $1,500",
        "The boss and Mr McDonald use WeChat and WhatsApp",
        "1 Te Puke 2 Tauranga; the Company; Massage",
    ],
)
def test_what_many_tips_have_by_chance_is_no_detail(text):
    """Help lines, money, dates, flights, a street without a house, networks and plain words join nothing."""
    assert forms(text) == set()


def test_few_sentences_join_wrongly():
    """Of 13,000 sentences in ten languages those that share a detail name the same one, letter for letter.

    The sets tell the same invented stories in several languages. A join counts as wrong where the words are not the
    same once case, accents, blanks and digits of other scripts are set aside.
    """
    shown = defaultdict(set)
    pairs = 0
    for code in LANGUAGES:
        for part in ("", "first", "dev", "second", "cold"):
            if (FOLDER / f"{code}.{part}.jsonl".replace("..", ".")).exists():
                for text, _ in sentences(code, part):
                    for one in same_details(text, phrases()):
                        shown[one[:2]].add((text, one.shown))
    wrong = []
    for (kind, form), found in shown.items():
        pairs += len(found) * (len(found) - 1) // 2
        digits = {"".join(str(int(each)) for each in words if each.isdigit())[-7:] for _, words in found}
        if kind in {"plate", "phone", "document", "account"} and len(digits) > 1:
            wrong.append((form, found))
    assert pairs > 500
    assert wrong == []
