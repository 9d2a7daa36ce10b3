"""The details of the journal in words."""

import pytest

from app.desk.journal import JournalEntry
from app.desk.journal_labels import details_label
from app.desk.labels import fault_label

TIP = "w5gmdr9edmpd8w23367hvwfdmr"


@pytest.mark.parametrize(
    ("did", "what", "words"),
    [
        ("closed", "nothing", "Too little information to act on"),
        ("opened", "new", "New"),
        ("outcome", "victim-safe", "A victim is safe"),
        ("outcome", "", "Not known yet"),
        ("due", "", "No day"),
        ("due", "2026-11-30", "2026-11-30"),
        ("told", "opened", "The sender reads: Your tip was opened"),
        ("despite-request", "child", "A child must be protected"),
        ("received", f"envelope {'0' * 64}", ""),
        (
            "received",
            f"envelope {'0' * 64} answers {TIP} withdraws",
            "an answer to tip w5gmdr, and asks not to pass the tip on",
        ),
        ("joined", TIP, "with tip w5gmdr"),
        ("referred", "to police mbie", "Example Police, Example MBIE"),
        ("to-translator", "unknown", "unknown"),
        ("of-another-version", "some-code 7", "some-code 7"),
        ("closed", "of-another-version", "of-another-version"),
    ],
)
def test_details_are_words(did, what, words):
    """A handler reads no code that has words, the name of an authority, and six characters of a tip's id."""
    names = {"police": "Example Police", "mbie": "Example MBIE"}
    assert details_label(JournalEntry("Ana", did, TIP, what), names) == words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("timeout", "The other end did not answer in time (timeout)"),
        ("disk-full", "The disk is full, so nothing was changed. Make room on the disk, then try again (disk-full)"),
        ("ZeroDivisionError", "The desk has a fault (ZeroDivisionError)"),
    ],
)
def test_a_failure_is_said_in_words_with_its_code(code, words):
    """What failed is said in a sentence; the code stays for the person who runs the desk."""
    assert fault_label(code) == words
