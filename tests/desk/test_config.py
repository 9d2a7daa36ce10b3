"""The example of desk.toml that an agency copies: every key stands there, and every line of it is right."""

import re

import pytest

from app.core.config_reader import Reader
from app.desk.config import load_desk_config
from app.vault.keys import DEMONSTRATION, recipient_of
from tests.support.paths import ROOT
from tests.support.servers import Certificates

EXAMPLE = ROOT / "deploy" / "desk.toml"


@pytest.fixture
def written(tmp_path):
    """Write the example with a recipient in it, and with the files that it names beside it; return its path."""
    certificates = Certificates(tmp_path)
    named = {"ca": certificates.ca, "crt": certificates.client, "key": certificates.client_key}

    def write(text):
        for name in re.findall(r'^\w+_file = "(.+)"$', text, re.MULTILINE):
            (tmp_path / name).write_text("a-secret")
        for key, name in re.findall(r'^(?:client_)?(ca|cert|key) = "(.+)"$', text, re.MULTILINE):
            (tmp_path / name).write_bytes(named["crt" if key == "cert" else key].read_bytes())
        path = tmp_path / "desk.toml"
        path.write_text(text.replace("age1pq1…", recipient_of(DEMONSTRATION)))
        return path

    return write


def with_every_key(text):
    """The example with each key and table that is left out put in."""
    return re.sub(r"^# (?=\w+ = |\[)", "", text, flags=re.MULTILINE)


def test_the_example_is_right_once_a_key_is_written_in(written):
    """An agency that copies the example and writes its recipients gets a desk, for two people, with two authorities."""
    config = load_desk_config(written(EXAMPLE.read_text()), {})
    assert config.release == len(config.handlers) == 2
    assert list(config.authorities) == ["police", "mbie"]


def test_every_line_that_is_left_out_may_be_put_in(written):
    """Given the example with each optional key put in, the desk reads every one of them without a fault."""
    config = load_desk_config(written(with_every_key(EXAMPLE.read_text())), {})
    assert config.imap
    assert config.receive
    assert config.translators


def test_every_key_of_the_desk_stands_in_the_example(written, monkeypatch):
    """No key that the desk reads is missing in the example; a secret may stand there as the name of its file."""
    read, check = set(), Reader.reject_unknown_keys

    def note(reader):
        read.update(reader._keys_read)
        check(reader)

    monkeypatch.setattr(Reader, "reject_unknown_keys", note)
    load_desk_config(written(EXAMPLE.read_text()), {})
    assert {"identities", "imap", "client_ca", "cells"} <= read
    shown = set(re.findall(r"^(?:# )?\[?\[?(\w+)(?:\]\]?$| = )", EXAMPLE.read_text(), re.MULTILINE))
    shown |= {key.removesuffix("_file") for key in shown}
    assert read - shown == set()
