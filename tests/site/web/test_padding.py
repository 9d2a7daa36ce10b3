"""The padding of pages: one length whatever the effort of compression, and the least effort that fits."""

import gzip

import brotli
import pytest

from app.site.web import padding
from tests.support.paths import ROOT

OPEN = {"br": brotli.decompress, "gzip": gzip.decompress}
COMPRESS = {"br": padding._brotli, "gzip": padding._gzip}


@pytest.fixture(scope="module")
def page():
    """A page that each level of compression makes shorter than the level before."""
    return (ROOT / "app/site/templates/style.css").read_bytes()


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_a_page_is_compressed_with_the_least_effort_that_fits(page, coding, monkeypatch):
    """The next level is tried only where a page is too long, the last only where asked for; the length is the same."""
    levels = padding._LEVELS[coding]
    lengths = [len(COMPRESS[coding](page, level)) for level in levels]
    assert lengths == sorted(set(lengths), reverse=True)
    tried = []
    monkeypatch.setattr(padding, COMPRESS[coding].__name__, lambda page, level: compressed(coding, page, level, tried))
    for count, length in enumerate(lengths, start=1):
        size = length + 100
        found = padding.pad_response(page, coding, head=100, size=size, max_effort=True)
        assert (len(found) + 100, OPEN[coding](found)) == (size, page)
        assert tried == list(levels[:count])
        tried.clear()
    found = padding.pad_response(page, coding, head=100, size=lengths[-1] + 100)
    assert (tried, OPEN[coding](found)) == (list(levels[:-1]), page)
    assert (len(found) + 100) % (lengths[-1] + 100) == 0


def compressed(coding, page, level, tried):
    """A compressed page, after its level was noted."""
    tried.append(level)
    return COMPRESS[coding](page, level)
