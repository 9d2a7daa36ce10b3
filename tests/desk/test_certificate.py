"""What the desk says about its certificate before browsers refuse it."""

from datetime import UTC, datetime, timedelta

import pytest
import trustme

from app.desk.certificate import certificate_sentences
from app.desk.config import HostConfig

NOW = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.fixture
def sentences(tmp_path):
    """Return what is said of a certificate for these names that has so many days left."""
    authority = trustme.CA()

    def say(*names, days, asked="desk.example"):
        made = authority.issue_cert(*names, not_after=NOW + timedelta(days=days), not_before=NOW - timedelta(days=90))
        made.cert_chain_pems[0].write_to_path(tmp_path / "desk.crt")
        host = HostConfig(asked, 443, tmp_path / "desk.crt", tmp_path / "no.key")
        return certificate_sentences(host, NOW.timestamp())

    return say


def test_a_good_certificate_says_nothing(sentences):
    """A certificate for the name, or for all names beside it, with weeks left needs nobody; nor does loopback."""
    assert sentences("desk.example", days=60) == []
    assert sentences("*.agency.example", days=60, asked="desk.agency.example") == []
    assert certificate_sentences(None, NOW.timestamp()) == []


def test_a_certificate_that_ends_or_is_for_another_name_is_said(sentences):
    """The last three weeks, the end, and another name each have a sentence that says what to do."""
    assert sentences("desk.example", days=21)[0].startswith("The certificate of this desk expires in 21 days. Renew")
    assert "has expired, so no browser opens the desk" in sentences("desk.example", days=-2)[0]
    assert sentences("other.example", days=60) == [
        "The certificate of this desk is not for desk.example. Use a certificate for this name."
    ]
    assert len(sentences("*.example", days=60, asked="a.b.example")) == 1


def test_a_file_that_is_no_certificate_is_said(tmp_path):
    """A missing file and junk are said, and stop nothing."""
    (tmp_path / "junk").write_text("junk")
    for path in (tmp_path / "absent", tmp_path / "junk"):
        host = HostConfig("desk.example", 443, path, path)
        assert "cannot be read" in certificate_sentences(host, NOW.timestamp())[0]
