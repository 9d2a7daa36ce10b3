"""docs/asvs.md holds every row of level 2, its sums are right, and each file that it names is there."""

import re
from collections import Counter

from tests.support.paths import ROOT

TEXT = (ROOT / "docs" / "asvs.md").read_text()
# OWASP ASVS 5.0.0: how many rows of levels 1 and 2 each section has, where they are its first rows.
SECTIONS = {
    1: (2, 9, 11, 3, 2), 2: (3, 3, 4, 1), 3: (0, 2, 4, 6, 5, 0, 2), 4: (3, 1, 2, 4), 5: (1, 3, 2, 3),
    6: (3, 12, 4, 4, 5, 3, 0, 4), 7: (3, 4, 2, 5, 2, 2), 8: (2, 3, 1, 1), 9: (3, 4), 10: (2, 2, 4, 11, 5, 2, 3),
    11: (2, 3, 3, 4, 1, 1), 12: (3, 2, 4), 13: (1, 5, 2, 5), 14: (2, 4, 3), 15: (3, 3, 7), 16: (1, 5, 4, 3, 3),
    17: (1, 4, 2),
}  # fmt: skip
STANDS = ("met", "partly", "not met", "not applicable")


def rows() -> list[tuple[str, str]]:
    """Each row's number and how it stands, ranges spelt out."""
    found = []
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and re.match(r"\d+\.\d+\.\d+", cells[0]):
            for part in cells[0].split(", "):
                first, _, last = part.partition("–")
                section, _, start = first.rpartition(".")
                end = int(last.rpartition(".")[2]) if last else int(start)
                found += [(f"{section}.{number}", cells[2]) for number in range(int(start), end + 1)]
    return found


def test_every_row_is_there_once():
    """The 253 rows of levels 1 and 2, each once, each in one of four words."""
    wanted = [
        f"{chapter}.{section}.{row}"
        for chapter, counts in SECTIONS.items()
        for section, count in enumerate(counts, 1)
        for row in range(1, count + 1)
    ]
    assert len(wanted) == 253
    assert sorted(number for number, _ in rows()) == sorted(wanted)
    assert {stands for _, stands in rows()} <= set(STANDS)


def test_the_sums_are_right():
    """The table at the top counts what stands below it."""
    counted: dict[int, Counter[str]] = {chapter: Counter() for chapter in SECTIONS}
    for number, stands in rows():
        counted[int(number.split(".")[0])][stands] += 1
    for chapter, count in counted.items():
        line = f"| V{chapter} | {count.total()} | " + " | ".join(str(count[word]) for word in STANDS) + " |"
        assert line in TEXT, line
    total = sum(counted.values(), Counter())
    assert f"| **all** | {total.total()} | " + " | ".join(str(total[word]) for word in STANDS) + " |" in TEXT


def test_every_file_that_it_names_is_there():
    """Whoever looks a row up finds what proves it."""
    named = set(re.findall(r"`((?:app|tests|docs|deploy)/[\w./@-]+\.\w+)`", TEXT))
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
