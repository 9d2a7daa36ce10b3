"""The phrases of every language, which take a second to read: each process of the tests reads them once."""

from functools import cache

from app.text.phrases import PhraseTrie, load_phrases
from tests.support.paths import ROOT


@cache
def phrases() -> PhraseTrie:
    """The finder's words."""
    return load_phrases(ROOT / "content")
