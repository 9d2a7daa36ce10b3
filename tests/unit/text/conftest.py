"""Fixtures of the tests that search texts."""

import pytest

from app.core.unicode import clean_text
from app.text.find import find_identifying
from tests.support.phrases import phrases


@pytest.fixture(scope="session")
def all_phrases():
    return phrases()


@pytest.fixture
def kinds(all_phrases):
    """Return what is found in a text as (kind, words), cleaned first as the form does."""

    def kinds_of(untrusted_text, *, about_suspects=False):
        text = clean_text(untrusted_text)
        found = find_identifying(text, phrases=all_phrases, about_suspects=about_suspects)
        return [(each.kind, text[each.start : each.end]) for each in found]

    return kinds_of
