"""Only plain text is text: every other family is refused, whatever stands before it and however it is encoded."""

import base64
import io
import random
from contextlib import suppress

import pytest
from PIL import Image

from app.core.errors import FileRefusedError
from app.files.clean import CleanedFile, clean_files
from app.files.plain_text import require_plain_text
from tests.support.growth import MOST_GROWTH, growth


def _photo() -> bytes:
    target = io.BytesIO()
    Image.effect_noise((40, 30), 60).save(target, "JPEG", comment=b"Hemi's phone")
    return target.getvalue()


PHOTO = base64.encodebytes(_photo())
HEX = _photo().hex().encode()
# Each with the code of its refusal.
FAMILIES = {
    "eml": (
        b"From: Hemi <hemi@example.org>\nTo: help@example.org\nSubject: Photo\nDate: 3 Feb 2025\n\nHello\n",
        "mail",
    ),
    "eml with a trace": (b"Received: from phone (203.0.113.7) by mx.example.org; 3 Feb 2025\n\nHello\n", "mail"),
    "eml of one field": (b"Message-ID: <1@hemi.example.org>\n\nHello\n", "mail"),
    "mbox": (b"From hemi@example.org Mon Feb 03 14:30:00 2025\nSubject: a\n\nHello\n", "mail"),
    "mhtml": (b'MIME-Version: 1.0\nContent-Type: multipart/related; boundary="a"\n\n--a\n', "mail"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><metadata>Hemi</metadata></svg>", "markup"),
    "html": (b"<html><head><meta name='author' content='Hemi'></head><p>Hello</html>", "markup"),
    "html without its head": (b"<p>Hello<img src='photo.jpg'></p>", "markup"),
    "xml": (b"<?xml version='1.0'?>\n<list><name>Hemi</name></list>", "markup"),
    "gpx": (b"<gpx version='1.1'><trkpt lat='-36.8' lon='174.7'></trkpt></gpx>", "markup"),
    "xmp": (b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF></rdf:RDF></x:xmpmeta>", "markup"),
    "ics": (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nORGANIZER:mailto:hemi@example.org\nEND:VEVENT\nEND:VCALENDAR\n", "card"),
    "vcard": (b"BEGIN:VCARD\nVERSION:3.0\nFN:Hemi\nEND:VCARD\n", "card"),
    "rtf": (b"{\\rtf1\\ansi{\\info{\\author Hemi}}Hello}", "save-as-pdf"),
    "postscript": (b"%!PS-Adobe-3.0\n%%Creator: Hemi\nshowpage\n", "save-as-pdf"),
    "base64": (b"Photo:\n" + PHOTO, "inside-text"),
    "base64 in one line": (b"Photo: " + PHOTO.replace(b"\n", b""), "inside-text"),
    "hexadecimal": (b"Photo:\n" + HEX, "inside-text"),
    "data address": (b"Photo: data:image/jpeg;base64,/9j/4AAQSkZJRgABAQ\n", "inside-text"),
    "uuencode": (b"begin 644 hemi.jpg\nM_]C_X``02D9)1@`!`0$`8`!@``#_\n`\nend\n", "inside-text"),
    "key": (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n", "inside-text"),
}
BEFORE = {
    "nothing": "",
    "blank lines": "\n \t\r\n\n",
    "a no-break space": "\u00a0\u3000",
    "a byte order mark": "\ufeff",
    "two marks": "\ufeff\ufeff\n",
    "a comment of XML": "<!-- saved by Hemi -->\n",
    "a comment of a script": "# note\n",
    "a comment of PostScript": "% note\n",
    "words": "Please look at this.\n\n",
    "invisible letters": "\u200b\u2060\u00ad",
}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-16-be-sig")


def encoded(text: str, name: str) -> bytes:
    return b"\xfe\xff" + text.encode("utf-16-be") if name == "utf-16-be-sig" else text.encode(name)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.usefixtures("no_sandbox")
def test_no_other_family_is_taken_for_text(name):
    """Each family is refused behind a blank, a mark, a comment or words, in each Unicode encoding."""
    data, code = FAMILIES[name]
    codes = set()
    for before in BEFORE.values():
        for encoding in ENCODINGS:
            (result,) = clean_files([encoded(before + data.decode("latin-1"), encoding)])
            assert not isinstance(result, CleanedFile), (before, encoding, result)
            codes.add(result.code)
    assert code in codes
    assert codes <= {code, "markup", "inside-text"}  # a comment of XML is markup before all else


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.needs("exiftool")
@pytest.mark.usefixtures("no_sandbox")
def test_no_specimen_of_the_corpus_is_taken_for_text(specimens, before):
    """Every file of the corpus but the text, behind a blank, a mark, a comment or words, is never a text."""
    office = (".docx", ".xlsx", ".odt") if before == "nothing" else ()
    names = [name for name in specimens if not name.endswith((".txt", *office))]
    assert len(names) > 15
    for name in names:
        for data in (
            BEFORE[before].encode() + specimens[name].data[:200_000],
            (BEFORE[before] + specimens[name].data[:5000].decode("latin-1")).encode("utf-16"),
        ):
            (result,) = clean_files([data])
            assert getattr(result, "type", "") != "text/plain", name


def test_a_pdf_after_other_bytes_is_a_pdf(specimens):
    """A PDF behind a blank line is built anew as a PDF, and its author's name is gone."""
    (result,) = clean_files([b"\r\n" + specimens["letter.pdf"].data])
    assert getattr(result, "type", result) == "application/pdf"


@pytest.mark.parametrize(
    "text",
    [
        "Received: 500 dollars from the officer\nPaid: 200\n",
        "He wrote: pay me > 500 and < 1000, or <3\n",
        "From: boss\nWe go at 5.\n",
        "Address: https://example.org/maps/place/12345?data=1,2&x=a-b-c\n",
        "-" * 200 + "\n" + "=" * 200 + "\n" + "_" * 200,
        "2025-02-03, 14:30 - Hemi: the data: 5 boxes; base camp\n" * 50,
        "Name\tPaid\nHemi\t500\n" * 100,
        "Begin: 5 o'clock\nSubject: rent\n",
        "我叫他付钱。" * 100,
        "Taumatawhakatangihangakoauauotamateaturipukakapikimaungahoronukupokaiwhenuakitanatahu",
    ],
)
def test_what_people_write_is_plain_text(text):
    """Lists, chats, addresses, lines of dashes and long names are taken."""
    require_plain_text(text)


def test_mutated_families_never_crash_and_text_stays_text():
    """Of 3,000 families with random changes, seeded, each ends as a refusal or as a text, in no other way."""
    chosen, ends = random.Random(14), set()
    for _ in range(3000):
        text = bytearray(chosen.choice([data for data, _ in FAMILIES.values()]))
        for _ in range(chosen.randrange(1, 12)):
            text[chosen.randrange(len(text))] = chosen.randrange(256)
        try:
            require_plain_text(text.decode("latin-1"))
            ends.add("text")
        except FileRefusedError as refused:
            ends.add(refused.code)
    assert ends <= {"text", "mail", "card", "markup", "save-as-pdf", "inside-text"}


@pytest.mark.parametrize(
    "unit",
    ["\n", " \n", "<", "<a:", "data:;", "from a@", "from a@b ", "A" * 41 + " ", "A" * 39 + " ", "aa ", "x-", "{\\"],
)
def test_the_decision_takes_linear_time(unit):
    """Four times the text takes about four times the time, whatever the text is made of."""

    def decide(text):
        with suppress(FileRefusedError):
            require_plain_text(text)

    assert growth(decide, unit, 8000) < MOST_GROWTH or growth(decide, unit, 32_000) < MOST_GROWTH
