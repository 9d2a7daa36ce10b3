"""The handouts: tagged PDF, complete, reproducible, and without a word about whom they help."""

import io
import subprocess
import zipfile
from dataclasses import replace
from datetime import date

import page
import pikepdf
import pypdfium2
import pytest

from app.core.errors import ConfigError
from app.site.demo import build_outputs
from app.site.guide.handouts import KINDS, handout_data, make_handouts
from app.site.guide.loader import load_library
from app.site.guide.models import Run
from tests.support.paths import ROOT
from tests.support.visit import KNOWN

MM = 72 / 25.4
ENDS = tuple(f"{end}.pdf" for end in KINDS.values())


@pytest.fixture(scope="module")
def library():
    return load_library(ROOT / "content", KNOWN)


@pytest.fixture(scope="module")
def files(library):
    return make_handouts(library)


@pytest.fixture(scope="module")
def pdfs(files):
    return {name: file.data for name, file in files.items() if name.endswith(".pdf")}


def words_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    return " ".join(document[n].get_textpage().get_text_bounded() for n in range(len(document)))


def code_of(name: str) -> str:
    """Return the code of the language of a handout from its file name."""
    return next(name.removesuffix(end) for end in reversed(ENDS) if name.endswith(end))


def test_there_are_four_handouts_for_every_language_and_a_zip_of_all(library, files):
    """There are four PDFs in each language, named for language and kind alone, and a zip of exactly these files."""
    names = [f"{code}{end}" for code in library.editions for end in ENDS]
    assert ENDS == (".pdf", "-card.pdf", "-poster.pdf", "-pictures.pdf")
    assert list(files) == [*names, "sheets.zip"]
    with zipfile.ZipFile(io.BytesIO(files["sheets.zip"].data)) as archive:
        assert archive.namelist() == names
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert all(archive.read(name) == files[name].data for name in names)


def test_every_pdf_is_pdf_ua_1(pdfs):
    """A PDF/UA checker finds no fault against ISO 14289-1 in any handout."""
    assert pdfs
    for name, data in pdfs.items():
        report = page.validate_pdf_bytes(data, profile=page.ValidationProfile.PDF_UA_1)
        assert report.is_compliant, f"{name}: {[str(failure) for failure in report.failures]}"


def test_every_handout_is_one_side_of_a4_and_the_cards_are_two(pdfs):
    """Every page is A4 in portrait format; cards have a page for each side of the paper, all others one page."""
    for name, data in pdfs.items():
        document = pypdfium2.PdfDocument(data)
        assert len(document) == (2 if name.endswith("-card.pdf") else 1), f"{name} has {len(document)} pages"
        for sheet in document:
            assert tuple(round(side / MM) for side in sheet.get_size()) == (210, 297)


def test_the_same_content_gives_the_same_bytes(library, pdfs):
    """Handouts that are made twice are equal in every byte."""
    again = make_handouts(library)
    assert {name: again[name].data for name in pdfs} == pdfs


def test_the_metadata_is_title_language_and_a_fixed_date(library, pdfs):
    """The metadata says neither who made a handout nor when or where; its date is the newest of the contacts."""
    for name, data in pdfs.items():
        with pikepdf.open(io.BytesIO(data)) as pdf:
            code = code_of(name)
            assert str(pdf.Root.Lang).partition("-")[0] == code.partition("-")[0]
            info = {str(key): str(value) for key, value in pdf.docinfo.items()}
            assert info.keys() <= {"/Title", "/Creator", "/CreationDate", "/ModDate"}
            assert info["/Title"] == library.editions[code].pages["sheet"].raw["heading"]
            newest = max(contact.as_at for contact in library.editions[code].contacts.values())
            assert newest < date.max
            for key in info.keys() & {"/CreationDate", "/ModDate"}:
                assert info[key].startswith(newest.strftime("D:%Y%m%d"))


def test_a_character_without_a_glyph_is_a_fault_and_never_a_hole(library):
    """Handouts use only the fonts of the repository, and a character that the fonts lack is refused."""
    edition = library.editions["en"]
    page = edition.pages["sheet"]
    spoiled = replace(page, runs={**page.runs, "heading": (Run("Thai: ไทย"),)})
    odd = replace(edition, pages={**edition.pages, "sheet": spoiled})
    with pytest.raises(ConfigError, match=r"en\.pdf: .*could not be displayed"):
        make_handouts(replace(library, editions={"en": odd}))


def test_a_sheet_has_all_numbers_questions_and_signs(library, pdfs):
    """Each number to call is on sheet, card and poster, and the sheet has the English questions of the pages."""
    for code, edition in library.editions.items():
        for name in (f"{code}{end}" for end in ENDS if end != "-pictures.pdf"):
            for number in ("111", "105", "0800 20 00 88", "0800 555 111"):
                assert number in words_of(pdfs[name]).replace("\r\n", " "), f"{name}: no {number}"
        assert len(handout_data(edition, library.editions["en"])["questions"]) == 8
    flat = " ".join(words_of(pdfs["en.pdf"]).split())
    for question in library.editions["en"].pages["self-check"].raw["questions"]:
        assert question in flat


@pytest.mark.needs("poppler")
def test_hindi_comes_out_of_the_pdf_as_it_went_in(library, pdfs, tmp_path):
    """Extracted text has the characters that were written, so that a screen reader can speak them."""
    if "hi" not in library.editions:
        pytest.fail("there is no Hindi yet")
    (tmp_path / "hi.pdf").write_bytes(pdfs["hi.pdf"])
    done = subprocess.run(["pdftotext", "-layout", str(tmp_path / "hi.pdf"), "-"], capture_output=True, check=True)
    got, sheet = "".join(done.stdout.decode().split()), library.editions["hi"].pages["sheet"].raw
    assert "".join(sheet["heading"].split()) in got
    assert "".join(sheet["contacts_heading"].split()) in got


def test_an_unreviewed_sheet_says_so_in_its_language_and_in_english(library, pdfs):
    """An unreviewed handout says so in its language and in English; the English handout says nothing."""
    english = library.editions["en"].pages["sheet"].raw["not_checked"]
    assert english not in " ".join(words_of(pdfs["en.pdf"]).split())
    for code, edition in library.editions.items():
        if code != "en" and not edition.pages["sheet"].review.reviewed:
            said = handout_data(edition, library.editions["en"])["unchecked"]
            assert "".join(run.text for run in said).endswith(f" {english}")
            assert (said[0].lang, said[-1].lang) != ("en", "")
            for end in ENDS:
                if end != "-pictures.pdf":  # which has no sentence that anybody could read
                    assert english in " ".join(words_of(pdfs[f"{code}{end}"]).split()), f"{code}{end}"


def test_a_sheet_is_legible_in_black_and_white(pdfs):
    """Handouts use only black and grey on white."""
    for name, data in pdfs.items():
        image = pypdfium2.PdfDocument(data)[0].render(scale=1).to_pil().convert("RGB")
        pixels = image.getcolors(image.width * image.height)
        assert all(max(colour) - min(colour) <= 2 for _, colour in pixels), f"{name} has colours"


def test_build_writes_what_the_site_serves(files, tmp_path):
    """`haumaru build` writes the bytes that the site serves."""
    list(build_outputs(tmp_path / "out"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        name: file.data for name, file in files.items()
    }


def test_any_sheet_can_be_had_from_any_languages_page(site):
    """Each handout page links to all handouts with format and size, and each link serves that file."""
    for code in site.languages:
        links = [link for link in site.get(f"/{code}/sheets").document.all("a") if "/sheets" in link.attrs["href"]]
        hrefs = {link.attrs["href"]: link.text for link in links if link.attrs["href"].endswith((".pdf", ".zip"))}
        ends = {f"/{code}/sheets/{other}{end}" for other in site.languages for end in ENDS}
        assert hrefs.keys() == ends | {"/sheets.zip"}
        for href, words in hrefs.items():
            answer = site.get(href).response
            kind = "ZIP" if href.endswith(".zip") else "PDF"
            assert f"({kind}, {-(-len(answer.data) // 1000)} KB)" in words
            assert answer.mimetype == ("application/zip" if kind == "ZIP" else "application/pdf")
    assert site.get("/en/sheets/xx.pdf").status == 404
    assert site.get("/en/sheets/sheets.zip").status == 404
