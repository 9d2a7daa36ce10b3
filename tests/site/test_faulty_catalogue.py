"""A catalogue with a fault stops the start of the whole site, in every way in which the site starts."""

import shutil

import pytest

from app.core.errors import ConfigError
from tests.support.paths import ROOT
from tests.support.visit import open_site, site_root


def test_a_wrong_place_stops_the_start_and_no_visitor_meets_it(tmp_path):
    """The start names the file and the line; before, each page with the sentence was an error 500."""
    root = site_root(tmp_path, ("en", "sm"))
    (root / "translations").unlink()
    shutil.copytree(ROOT / "translations", root / "translations")
    path = root / "translations" / "sm" / "LC_MESSAGES" / "messages.po"
    text = path.read_text(encoding="utf-8")
    assert "%(size)s MB" in text
    at = text.index('msgid "%(size)s MB"')
    path.write_text(text[:at] + text[at:].replace('msgstr "%(size)s', 'msgstr "%(tele)s', 1), encoding="utf-8")
    line = text[:at].count("\n") + 1
    with pytest.raises(ConfigError, match=rf"messages\.po:{line}: places %\(tele\)s") as raised:
        open_site(tmp_path, root=root)
    assert len(raised.value.faults) == 1
