"""The guidance pages as files."""

import brotli
import pytest
from click.testing import CliRunner

from app.core.errors import ConfigError
from app.site.cli import cli
from app.site.guide.static_files import StaticSite, write_static
from app.site.web.wsgi import PrerenderedAnswer

HTML = (("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"), ("Server", "web"))
PDF = (("Content-Type", "application/pdf"), ("Cache-Control", "no-store"))
PAGES = {
    "/en/": PrerenderedAnswer(HTML, b"home", b"gzipped", brotli.compress(b"home")),
    "/en/help": PrerenderedAnswer(HTML, b"help", b"gzipped help", brotli.compress(b"help")),
    "/en/sheets/en.pdf": PrerenderedAnswer(PDF, b"%PDF", b"", b""),
}
SITE = StaticSite(
    PAGES,
    ["example.org", "a.onion"],
    "https://exit.example/",
    {"en": "en"},
    {"en": "Not sent.", "mi": "Kāore\n i tukuna."},
)


def test_each_answer_is_a_file_in_each_coding(tmp_path):
    """Pages are there plain and compressed, what is not compressed once, and the maps lead to them."""
    assert write_static(tmp_path / "site", SITE) == 7
    pages = tmp_path / "site" / "pages"
    assert (pages / "en" / "index.html.br").read_bytes() == PAGES["/en/"].br
    assert (pages / "en" / "help.html.gz").read_bytes() == b"gzipped help"
    assert (pages / "en" / "help.html").read_bytes() == b"help"
    assert (pages / "en" / "sheets" / "en.pdf").read_bytes() == b"%PDF"
    maps = tmp_path / "site" / "haproxy"
    assert "/en/help /en/help.html.br\n" in (maps / "br.map").read_text()
    assert "/en/sheets/en.pdf /en/sheets/en.pdf\n" in (maps / "br.map").read_text()
    assert (maps / "hosts.lst").read_text() == "a.onion\nexample.org\n"
    assert (maps / "refused.map").read_text() == "en Not sent.\nmi Kāore i tukuna.\n"
    assert (maps / "site.map").read_text() == "exit_url https://exit.example/\n"


def test_files_have_the_headers_of_the_answers(tmp_path):
    """For each kind of file nginx is told every header of the program's answer, and none of its own."""
    write_static(tmp_path / "site", SITE)
    text = (tmp_path / "site" / "nginx.conf").read_text()
    assert text.count("location ~") == 4
    assert text.count('add_header Cache-Control "no-store";') == 4
    assert text.count('add_header Content-Encoding "br";') == 1
    assert text.count('add_header Last-Modified "";') == 4
    assert "Content-Length" not in text


def test_a_header_that_nginx_would_read_otherwise_stops_the_build(tmp_path):
    """A variable of nginx in a header is a fault, and the files of before stay."""
    write_static(tmp_path / "site", SITE)
    wrong = PrerenderedAnswer((*HTML, ("X-Wrong", "$host")), b"wrong", b"", b"")
    with pytest.raises(AssertionError, match="nginx would change"):
        write_static(tmp_path / "site", StaticSite({"/en/": wrong}, [], "", {}, {}))
    assert (tmp_path / "site" / "pages" / "en" / "help.html").exists()


def test_the_files_are_written_anew(tmp_path):
    """A second build leaves nothing of the first, and everybody may read what it wrote."""
    write_static(tmp_path / "site", SITE)
    write_static(tmp_path / "site", StaticSite({"/en/": PAGES["/en/"]}, [], "https://exit.example/", {}, {}))
    assert not (tmp_path / "site" / "pages" / "en" / "help.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site"]
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "site").rglob("*.html")} == {"0o644"}


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    """What was not written by the build is not replaced."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError):
        write_static(tmp_path, SITE)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_static_needs_a_configuration(tmp_path):
    """The pages name the operator, so that no files are made without a configuration."""
    done = CliRunner().invoke(cli, ["build", "--static", str(tmp_path / "site")])
    assert done.exit_code == 2
    assert "--static needs --config" in done.output
