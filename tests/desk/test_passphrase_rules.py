"""What a new passphrase must be: nothing that a guesser tries first, with the reason said, and no other demand."""

from importlib.resources import files

import pytest

from app.desk.errors import RefusedError
from app.desk.passphrase_rules import MIN_PASSPHRASE, require_uncommon
from app.desk.passphrases import Passphrases
from app.desk.seat import name_form

NAME, HOST = "Kaia Rangi", ("desk", "agency", "example")


def code_of(passphrase) -> str:
    try:
        Passphrases(HOST).new_verifier(passphrase, NAME)
    except RefusedError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    ("passphrase", "code"),
    [
        ("elevenchars", "passphrase-short"),
        ("a" * 201, "passphrase-long"),
        ("aaaaaaaaaaaaaa", "passphrase-letters"),
        ("1212 1212 1212", "passphrase-letters"),
        ("1qaz2wsx3edc", "passphrase-common"),
        ("Unbelievable!", "passphrase-common"),
        ("QWERTY-qwerty", "passphrase-common"),
        ("unbelievable2026", "passphrase-common"),
        ("password1234", "passphrase-common"),
        ("password 2 ab", "passphrase-context"),
        ("Kaia Rangi 2026", "passphrase-context"),
        ("Rangi, Kaia: 1!", "passphrase-context"),
        ("Desk Agency 26", "passphrase-context"),
        ("PassPhrase 123456", "passphrase-context"),
        ("Correct horse battery staple", "passphrase-context"),
        ("kererū over four hills", ""),
        ("seven blue desks in Rangiora", ""),
        ("8351 0274 6690 2", ""),
    ],
)
def test_a_passphrase_that_is_easy_to_guess_is_refused_with_its_reason(passphrase, code):
    """Short, long, of few letters, commonly used, or hardly more than a name: each has a sentence of its own."""
    assert code_of(passphrase) == code


def test_the_list_holds_3000_common_passphrases_and_each_is_refused():
    """The list is as long as ASVS 6.2.4 asks, in the form that is compared, and nothing on it can be chosen."""
    lines = files("app.desk").joinpath("common_passphrases.txt").read_text("utf-8").split("\n")[:-1]
    assert len(lines) == len(set(lines)) == 3000
    assert lines == sorted(lines)
    assert all(name_form(one) == one for one in lines)
    assert sum(len(one) >= MIN_PASSPHRASE for one in lines) > 2900
    for one in lines[::20]:
        with pytest.raises(RefusedError, match=r"passphrase-(common|letters)"):
            require_uncommon(one.upper().ljust(MIN_PASSPHRASE, "."))


def test_passphrases_in_other_scripts_are_taken():
    """A passphrase in Chinese, Hindi or Samoan with its marks is compared like any other, and is taken."""
    for passphrase in ("山上的四只鸟在唱歌而且下雨了", "चार पहाड़ों के ऊपर एक चिड़िया", "fa‘atasi ma le manu i luga"):
        assert code_of(passphrase) == ""
