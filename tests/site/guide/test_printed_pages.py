"""The handouts as paper: measured in pictures of their pages, cut, folded, torn off, and read by a camera."""

import io
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import page
import pikepdf
import pypdfium2
import pytest
from werkzeug.test import Client

from app.site.config import load_config
from app.site.demo import build_outputs, prepare_folder
from app.site.guide.handout_address import is_printable_host, make_address
from app.site.guide.handouts import make_handouts
from app.site.guide.loader import load_library
from tests.support.paths import ROOT
from tests.support.visit import KNOWN

MM = 72 / 25.4
PIXELS = 10  # for each millimetre of a drawn page
ADDRESS = "https://haumaru.org.nz"
PICTOGRAMS = sorted((ROOT / "app" / "site" / "guide" / "print" / "pictograms").glob("*.svg"))
# A card (ISO/IEC 7810, ID-1) and the lines of the page of cards, in millimetres.
WIDE, HIGH, ROWS = 85.6, 54.0, 5
CUTS_ACROSS = [13.5 + HIGH * row for row in range(ROWS + 1)]
CUTS_DOWN = [105 - WIDE, 105, 105 + WIDE]
STRIP_HEIGHT, STRIPS = 58, 10
DASHED = 0.4  # the share of a dashed line that is dark, at least


@pytest.fixture(scope="module")
def library():
    return load_library(ROOT / "content", KNOWN)


@pytest.fixture(scope="module")
def files(library):
    return make_handouts(library, ADDRESS)


def drawn(pdf: bytes, number: int = 0) -> np.ndarray:
    """Return a page as grey values, ten pixels for each millimetre."""
    return pypdfium2.PdfDocument(pdf)[number].render(scale=PIXELS / MM, grayscale=True).to_numpy().squeeze()


WHOLE = (0.0, 0.0, 210.0, 297.0)


def text_within(pdf: bytes, number: int, bounds: tuple[float, float, float, float]) -> str:
    """Return the text of a page within left, top, right and bottom, in millimetres from the upper left corner."""
    sheet, (left, top, right, bottom) = pypdfium2.PdfDocument(pdf)[number], bounds
    sides = {"left": left * MM, "right": right * MM, "bottom": (297 - bottom) * MM, "top": (297 - top) * MM}
    return " ".join(sheet.get_textpage().get_text_bounded(**sides).split())


def lines_of(dark: np.ndarray, least: float = 0.7) -> list[float]:
    """Return the middle, in millimetres, of each run of rows of which at least this share is dark."""
    rows = np.flatnonzero(dark.mean(axis=1) > least)
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if rows.size else []
    return [float((run[0] + run[-1] + 1) / 2 / PIXELS) for run in runs]


def test_the_cards_have_the_size_of_a_bank_card_and_fill_the_page(files):
    """On both drawn pages the lines lie 85.6 and 54 mm apart, within 0.2 mm, in the middle of the paper."""
    for name in ("en-card.pdf", "sm-card.pdf", "hi-card.pdf"):
        for number in (0, 1):
            dark = drawn(files[name].data, number) < 200
            assert lines_of(dark) == pytest.approx(CUTS_ACROSS, abs=0.2), name
            assert lines_of(dark.T, DASHED) == pytest.approx(CUTS_DOWN, abs=0.2), name


def test_each_card_has_its_right_back_when_the_paper_is_turned_over(files):
    """Behind each of the ten places of the first page lies the other side of a card on the second page."""
    pdf = files["en-card.pdf"].data
    for row in range(ROWS):
        top = CUTS_ACROSS[row]
        for column in range(2):
            front = text_within(pdf, 0, (CUTS_DOWN[column], top, CUTS_DOWN[column + 1], top + HIGH))
            # The paper turns over at its long edge: what was on the left lies on the right.
            back = text_within(pdf, 1, (CUTS_DOWN[1 - column], top, CUTS_DOWN[2 - column], top + HIGH))
            sides = (front, back) if column == 0 else (back, front)
            assert [side.split(".")[0].split(" 111")[0] for side in sides] == ["Useful numbers", "You can ask for help"]
            assert ["0800 555 111" in side for side in sides] == [True, False]


def test_the_paper_is_symmetrical_so_that_both_sides_are_cut_at_once(files):
    """The lines of the second page lie within 0.2 mm behind the lines of the first."""
    pdf = files["mi-card.pdf"].data
    first, second = ((drawn(pdf, number) < 200).T for number in (0, 1))
    assert lines_of(second[::-1], DASHED) == pytest.approx(lines_of(first, DASHED), abs=0.2)


def test_no_word_of_a_card_is_cut_off(files, library):
    """No ink of a card lies within 3 mm of a line at which the card is cut or folded, in any language."""
    for code in library.editions:
        dark = drawn(files[f"{code}-card.pdf"].data) < 128
        for top in CUTS_ACROSS[:-1]:
            for left in CUTS_DOWN[:-1]:
                rows = slice(round((top + 0.5) * PIXELS), round((top + HIGH - 0.5) * PIXELS))
                columns = slice(round((left + 0.5) * PIXELS), round((left + WIDE - 0.5) * PIXELS))
                card = dark[rows, columns].copy()
                card[25:-25, 25:-25] = False
                assert not card.any(), f"{code}: ink at the edge of the card at {left}, {top}"


def test_the_words_that_can_be_seen_on_the_numbers_side_are_neutral(library):
    """The title above the numbers of a card names neither trafficking nor police nor reporting."""
    outside = str(library.editions["en"].pages["sheet"].raw["card_outside"]).lower()
    assert not any(word in outside for word in ("traffick", "police", "report", "victim", "help"))


@pytest.mark.parametrize("kind", ["poster", "pictures"])
def test_a_camera_reads_the_address_in_that_language_from_the_drawn_page(files, library, kind):
    """A QR reader that sees the whole page at 150 dots an inch finds the address of the site in the page's language."""
    for code in library.editions:
        assert read_code(files[f"{code}-{kind}.pdf"].data) == f"{ADDRESS}/{code}/"


def read_code(pdf: bytes) -> str:
    """Return what a QR reader finds on a page at 150 dots an inch, or nothing."""
    image = pypdfium2.PdfDocument(pdf)[0].render(scale=150 / 72, grayscale=True).to_numpy().squeeze()
    return str(cv2.QRCodeDetector().detectAndDecode(np.ascontiguousarray(image))[0])


def test_the_longest_host_stays_on_its_strip_and_is_read_by_a_camera(library):
    """A host of 60 letters is broken at its dots: no strip has letters of another, and the code is still read."""
    host = "people-in-forced-work-get-help.wellington.city.council.govt.nz"
    few = replace(library, editions={code: library.editions[code] for code in ("en", "zh-Hans")})
    files = make_handouts(few, f"https://{host}")
    pdf = files["zh-Hans-poster.pdf"].data
    for strip in range(STRIPS):
        said = text_within(pdf, 0, (21 * strip + 0.5, 297 - STRIP_HEIGHT, 21 * strip + 20.5, 297))
        whole = re.sub("[\\s\u200b]", "", said)
        assert whole == f"1110800555111{host}/zh-Hans/"
    assert read_code(pdf) == f"https://{host}/zh-Hans/"
    assert read_code(files["en-pictures.pdf"].data) == f"https://{host}/en/"


def test_handouts_with_an_address_are_pdf_ua_1(files):
    """A PDF/UA checker finds no fault against ISO 14289-1 in posters and pictures that have an address and a code."""
    for name, file in files.items():
        if name.endswith(("-poster.pdf", "-pictures.pdf")):
            report = page.validate_pdf_bytes(file.data, profile=page.ValidationProfile.PDF_UA_1)
            assert report.is_compliant, f"{name}: {[str(failure) for failure in report.failures]}"


def test_build_makes_the_handouts_of_a_site_with_its_address(tmp_path):
    """`haumaru build --config` writes handouts whose code leads to the site of that configuration."""
    settings = load_config(prepare_folder(tmp_path / "site"), {})
    site = replace(settings.site, demo=False, base_url=ADDRESS)
    list(build_outputs(tmp_path / "out", replace(settings, site=site)))
    pdf = (tmp_path / "out" / "fj-poster.pdf").read_bytes()
    assert "haumaru.org.nz/fj/" in text_within(pdf, 0, WHOLE)


def test_a_demonstration_prints_neither_a_code_nor_an_address(library):
    """Handouts of a site without an address of its own show no code and no address of a computer or an example."""
    one = replace(library, editions={"en": library.editions["en"]})
    for base_url in ("", "http://127.0.0.1:8000", "https://haumaru.example.org"):
        files = make_handouts(one, base_url)
        for name in ("en-poster.pdf", "en-pictures.pdf"):
            assert read_code(files[name].data) == ""
            assert not re.search(r"https?:|/en/|example\.|127\.", text_within(files[name].data, 0, WHOLE))


@pytest.mark.parametrize(
    "host",
    ["", "localhost", "127.0.0.1", "::1", "192.0.2.7", "8.8.8.8", "example.org", "haumaru.example.org", "example.nz",
     "www.example", "site.test", "haumaru.local", "desk.internal", "abc.onion", "EXAMPLE.com."],
)  # fmt: skip
def test_paper_never_shows_a_host_that_no_reader_can_open(host):
    """Loopback, numbers, examples and names of one network have no address on paper."""
    assert not is_printable_host(host)


def test_an_address_is_short_to_type_and_whole_in_the_code():
    """A person types the host and the language; the code has the whole address, which a subfolder keeps."""
    assert is_printable_host("examples.org.nz")
    found = make_address("https://haumaru.org.nz/site", "zh-Hans")
    assert found is not None
    assert (found.short, found.url) == ("haumaru.org.nz/site/zh-Hans/", "https://haumaru.org.nz/site/zh-Hans/")
    assert found.code.startswith("<svg")
    assert "script" not in found.code


def test_the_address_on_paper_leads_to_the_page_in_that_language(site):
    """Both the short address and the address of the code arrive at the home page of the language."""
    for code in site.languages:
        assert site.get(f"/{code}/").status == 200
        # A person may leave out the last stroke. The way goes on without a scheme: TLS may end before this program.
        answer = Client(site.app, use_cookies=False).get(f"/{code}", base_url=site.base)
        assert (answer.status_code, answer.headers["Location"]) == (308, f"/{code}/")


def test_a_strip_has_numbers_and_the_address_and_no_word(files, library):
    """Each of the ten strips at the foot of the poster has two numbers and the address, and nothing else."""
    for code in library.editions:
        pdf = files[f"{code}-poster.pdf"].data
        for strip in range(STRIPS):
            left = 21 * strip
            said = text_within(pdf, 0, (left + 0.5, 297 - STRIP_HEIGHT, left + 20.5, 297))
            assert re.sub(rf"111|0800 555 111|haumaru\.org\.nz/{code}/", "", said).strip() == "", code
            assert len(said.replace(" ", "")) == len(f"1110800555111haumaru.org.nz/{code}/"), code
        dark = drawn(pdf) < 128
        assert dark[-40 * PIXELS : -30 * PIXELS, 205:215].any()  # the line between two strips


def test_no_letter_is_so_near_to_the_edge_that_a_printer_leaves_it_out(files):
    """No letter of a handout lies within 4.5 mm of the edge, where many printers leave paper blank."""
    for name, file in files.items():
        document = pypdfium2.PdfDocument(file.data) if name.endswith(".pdf") else ()
        for text in (sheet.get_textpage() for sheet in document):
            for number in range(text.count_chars()):
                left, bottom, right, top = (side / MM for side in text.get_charbox(number))
                if right > left:
                    assert min(left, bottom, 210 - right, 297 - top) >= 4.5, f"{name}: a letter at {left}, {bottom}"


def test_the_pictures_need_no_reading(files, library):
    """The page of pictures shows 111 and the address and no word, and each of its pictures speaks its sentence."""
    for code, edition in library.editions.items():
        pdf = files[f"{code}-pictures.pdf"].data
        assert text_within(pdf, 0, WHOLE).split() == ["111", f"haumaru.org.nz/{code}/"]
        spoken = alternative_texts(pdf)
        questions = [re.sub(r"[*\[\]]", "", text) for text in edition.pages["self-check"].raw["questions"]]
        assert spoken[:8] == questions
        assert spoken[8].endswith(edition.pages["signs"].raw["signs"][5])
        assert spoken[-1] == f"{ADDRESS}/{code}/"
        assert all(spoken)


def alternative_texts(pdf: bytes) -> list[str]:
    """Return the alternative text of each figure of a tagged PDF (ISO 14289-1, 7.3), in reading order."""
    found: list[str] = []

    def walk(node: pikepdf.Object) -> None:
        if isinstance(node, pikepdf.Array):
            for child in node:
                walk(child)
        elif isinstance(node, pikepdf.Dictionary):
            if node.get("/S") == "/Figure":
                found.append(str(node.get("/Alt", "")))
            if "/K" in node:
                walk(node["/K"])

    with pikepdf.open(io.BytesIO(pdf)) as document:
        walk(document.Root.StructTreeRoot.K)
    return found


def test_letters_are_large_enough_on_paper(files, library):
    """Sentences of the sheet have 8.5 points or more, of the poster 9, of the card 7; small print has 6 or more."""
    least = {".pdf": 8.5, "-poster.pdf": 9, "-card.pdf": 7}
    for code in library.editions:
        for end, wanted in least.items():
            sizes = letter_sizes(files[f"{code}{end}"].data)
            assert min(sizes) >= 6, f"{code}{end}: {min(sizes)}"
            large = sum(count for size, count in sizes.items() if size >= wanted)
            assert large >= sum(sizes.values()) * 0.6, f"{code}{end}: {sizes}"


def letter_sizes(pdf: bytes) -> dict[float, int]:
    """Return how many letters of the first page have each size, in points."""
    text = pypdfium2.PdfDocument(pdf)[0].get_textpage()
    found: dict[float, int] = {}
    for number in range(text.count_chars()):
        size = round(pypdfium2.raw.FPDFText_GetFontSize(text, number), 2)
        if size > 1:  # a space that the reader adds has the size 1
            found[size] = found.get(size, 0) + 1
    return found


def test_the_pictograms_are_of_one_style():
    """Every pictogram has one frame and one kind of line, only black and white, simple shapes, and a title."""
    assert len(PICTOGRAMS) == 16
    for path in PICTOGRAMS:
        root = ET.fromstring(path.read_text(encoding="utf-8"))
        assert (root.get("viewBox"), root.get("stroke"), root.get("stroke-width")) == ("0 0 64 64", "#000", "3")
        assert root.find("{http://www.w3.org/2000/svg}title").text
        for node in root.iter():
            assert {node.get("fill", "none"), node.get("stroke", "none")} <= {"none", "#000", "#fff"}, path.name
            assert node.tag.rpartition("}")[2] in {"svg", "title", "g", "path", "circle", "rect"}, path.name
