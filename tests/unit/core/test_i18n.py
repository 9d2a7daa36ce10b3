"""The languages: their locales, and which one a browser is given."""

from datetime import date

import pytest
from babel.dates import format_date

from app.core import i18n
from app.core.errors import ConfigError
from tests.support.visit import KNOWN

CODES = ["en", "mi", "zh-Hans", "ms", "vi", "sm", "to", "fj", "hi", "tl"]


def test_there_are_ten_in_the_contract_s_order():
    """The codes of the addresses are these, and every one writes from left to right."""
    assert list(i18n.LANGUAGES) == CODES
    assert {language.direction for language in i18n.LANGUAGES.values()} == {"ltr"}


@pytest.mark.parametrize(
    ("accept", "code"),
    [
        ("fil-PH,fil;q=0.9", "tl"),
        ("tl", "tl"),
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("zh-Hant-HK", "zh-Hans"),
        ("ZH", "zh-Hans"),
        ("sm-WS,en;q=0.5", "sm"),
        ("de-DE,de;q=0.9,mi;q=0.5,en;q=0.4", "mi"),
        ("hi;q=0,fj;q=0.3", "fj"),
        ("en-GB,hi;q=0.9", "en"),
        ("xx", "en"),
        ("", "en"),
        ("*", "en"),
        ("q=1;;;,=,\x00", "en"),
        ("to" + ",x" * 100_000, "to"),
    ],
)
def test_the_browser_s_wish_is_met_where_it_can_be(accept, code):
    """The most wished-for of ours, `fil` as `tl` and every `zh` as `zh-Hans`, else English (RFC 9110, 12.5.4)."""
    assert i18n.best_language(accept, CODES) == code


def test_only_what_is_served_is_offered():
    """A language that is not served is passed over for the next wish."""
    assert i18n.best_language("hi,sm;q=0.5", ("en", "sm")) == "sm"


@pytest.mark.parametrize("code", KNOWN)
def test_every_language_has_rules_for_dates_and_plurals(code):
    """No language is an error page for want of a locale, and each answers to its own code."""
    locale = i18n.locale_of(KNOWN[code])
    assert str(locale).split("_")[0] == code.split("-")[0]
    assert locale.plural_form(2)
    assert format_date(date(2026, 11, 22), locale=locale)


def test_an_eleventh_language_is_a_folder(tmp_path):
    """A folder with a `language.toml` is a language, without a line of code; a faulty one is told."""
    assert list(i18n.known_languages(tmp_path)) == CODES
    (tmp_path / "nso").mkdir()
    path = tmp_path / "nso" / "language.toml"
    path.write_text('own_name = "Sesotho sa Leboa"\nrules_of = "en_ZA"\n')
    assert i18n.known_languages(tmp_path)["nso"].own_name == "Sesotho sa Leboa"
    assert str(i18n.locale_of(i18n.known_languages(tmp_path)["nso"])) == "nso"
    path.write_text('own_name = "?"\nrules_of = "qqq"\n')
    with pytest.raises(ConfigError):
        i18n.known_languages(tmp_path)


def test_a_proxy_learns_which_tag_means_which_language():
    """Browsers' primary tags lead to the codes of the site, Filipino to Tagalog and every Chinese to ours."""
    assert i18n.codes_by_tag(["en", "zh-Hans", "tl"]) == {"en": "en", "zh": "zh-Hans", "tl": "tl", "fil": "tl"}
