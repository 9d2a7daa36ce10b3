"""The handouts of a further language are printed in its own letters, with a font in its folder and no line of code."""

import shutil

import pypdfium2
import pytest

from app.core.errors import ConfigError
from app.site.guide.handouts import make_handouts
from app.site.guide.loader import load_library
from app.site.guide.models import Library
from deploy import translations
from tests.support.paths import ROOT

CODE = "bho"  # Bhojpuri, in the Devanagari script
WORDS = "\u0938\u0939\u093e\u092f\u0924\u093e"
FONT = "Noto Sans Devanagari"
# The same font under a name that the program's own fonts do not have.
OTHER_FONT = "Noto Sons Devanagari"


@pytest.fixture
def root(tmp_path):
    """A copy of the English content, and a language whose sheet has letters that the Latin font lacks."""
    shutil.copytree(ROOT / "content" / "en", tmp_path / "content" / "en")
    for name in ("contacts.toml", "plan.toml"):
        shutil.copy(ROOT / "content" / name, tmp_path / "content" / name)
    own = tmp_path / "content" / CODE
    own.mkdir()
    for name in ("sheet", "signs", "self-check"):
        shutil.copy(ROOT / "content" / "en" / f"{name}.md", own / f"{name}.md")
    sheet = own / "sheet.md"
    text = sheet.read_text(encoding="utf-8")
    assert text.count("heading: Do you need help?") == 1
    sheet.write_text(text.replace("heading: Do you need help?", f"heading: {WORDS}"), encoding="utf-8")
    return tmp_path


def _library(root, font: str) -> Library:
    text = f'own_name = "{CODE}"\nrules_of = "hi"\nfont = "{font}"\n'
    (root / "content" / CODE / "language.toml").write_text(text, encoding="utf-8")
    list(translations.digests(root, CODE, ""))
    return load_library(root / "content", ("en", CODE))


def test_letters_that_no_font_has_stop_the_start_with_their_remedy(root):
    """A letter is never left blank on paper; the fault names the handout and says what to do."""
    with pytest.raises(ConfigError, match=rf"handout {CODE}.pdf: .*language\.toml"):
        make_handouts(_library(root, ""))


def test_a_font_in_the_folder_of_the_language_prints_its_letters(root):
    """The font that `language.toml` names is found beside it, and the words can be read and searched in the PDF."""
    for weight in ("Regular", "Bold"):
        data = (ROOT / "app" / "site" / "guide" / "fonts" / f"NotoSansDevanagari-{weight}.ttf").read_bytes()
        names = [name.encode("utf-16-be") for name in (FONT, OTHER_FONT)]
        assert names[0] in data
        (root / "content" / CODE / f"{weight}.ttf").write_bytes(data.replace(*names))
    found = make_handouts(_library(root, OTHER_FONT))
    assert {name for name in found if name.startswith(CODE)} == {
        f"{CODE}{end}.pdf" for end in ("", "-card", "-poster", "-pictures")
    }
    with pypdfium2.PdfDocument(found[f"{CODE}.pdf"].data) as document:
        assert WORDS in document[0].get_textpage().get_text_range()
