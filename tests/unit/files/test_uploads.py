"""One upload that holds several files: a ZIP of photos, a chat, and a document with pictures."""

import io
import random
import struct
import zipfile

import pytest
from PIL import Image

from app.core.errors import FileRefusedError
from app.files.archives import unpack_archive
from app.files.clean import CleanedFile, CleanLimits, RefusedFile
from app.files.protocol import MAX_UNPACKED_BYTES, OutputFormat, most_unpacked
from app.files.turns import FileTurns, film_turns
from app.files.uploads import clean_uploads, memory_to_clean_uploads

REFUSALS_OF_UNPACKING = {"empty", "encrypted", "too-heavy", "damaged"}
CHAT = b"12/03/2025, 21:14 - Boss: I keep the passports. Call 021 555 0199\n"
WORD_START = (
    '<w:document xmlns:w="w" xmlns:wp="p" xmlns:a="a" xmlns:r="r" xmlns:pic="c" xmlns:mc="m" xmlns:wps="s"><w:body>'
)
RELATIONS = "".join(f'<Relationship Id="r{number}" Target="media/{number}.png"/>' for number in range(40))


def clean(*uploads, **limits):
    return clean_uploads(uploads, limits=CleanLimits(**limits), turns=FileTurns(), films=film_turns())


def outcome(*uploads, **limits):
    """Return of each result its upload, and its path or code; with the count where a refusal counts files."""
    return [
        (one.upload, one.path)
        if isinstance(one, CleanedFile)
        else (one.upload, one.code, *([one.count] if one.code.endswith("-rest") else []))
        for one in clean(*uploads, **limits)
    ]


def photo(colour="red", *, kind="JPEG", marked=True) -> bytes:
    target, exif = io.BytesIO(), Image.Exif()
    if marked:
        exif[0x010F], exif[0x013B] = "Hemi-Phone", "Hemi Parata"
    Image.new("RGB", (64, 48), colour).save(target, kind, exif=exif)
    return target.getvalue()


def packed(entries, method=zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return target.getvalue()


def inline(relation, *, inside="", crop="", shape="rect", wrapper="inline", blip=""):
    return (
        f'<w:p><w:r><w:drawing><wp:{wrapper}><wp:extent cx="9" cy="9"/><wp:docPr id="1" name="C:\\Users\\Hemi"/>'
        f'<a:graphic><a:graphicData><pic:pic><pic:blipFill><a:blip r:embed="{relation}">{blip}</a:blip>{crop}'
        f'<a:stretch><a:fillRect/></a:stretch></pic:blipFill><pic:spPr><a:prstGeom prst="{shape}"><a:avLst/>'
        f"</a:prstGeom></pic:spPr></pic:pic></a:graphicData></a:graphic>{inside}</wp:{wrapper}></w:drawing></w:r></w:p>"
    )


def document(body, pictures=2, *, relations=RELATIONS, further=()) -> bytes:
    parts = [
        ("[Content_Types].xml", "<Types/>"),
        ("word/document.xml", f"{WORD_START}{body}</w:body></w:document>"),
        ("word/_rels/document.xml.rels", f"<Relationships>{relations}</Relationships>"),
        *((f"word/media/{number}.png", photo((number, 9, 9), kind="PNG")) for number in range(pictures)),
    ]
    return packed([*parts, *further])


def words(text):
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_the_files_of_a_zip_are_each_cleaned():
    """Photos and the words of a chat come out in their order, without metadata and without the names in the ZIP."""
    data = packed([("Hemi Parata.jpg", photo()), ("_chat.txt", CHAT), ("b/IMG_2.png", photo("blue", kind="PNG"))])
    results = clean(data)
    assert [(one.upload, one.path) for one in results] == [(1, "files/1.jpg"), (1, "files/2.txt"), (1, "files/3.png")]
    assert results[1].text() == CHAT.decode().strip()
    assert b"Hemi" in data
    assert not any(b"Hemi" in one.data + one.preview for one in results)


def test_other_uploads_keep_their_place_and_number():
    """A photo before and a text after a ZIP stand before and after the files of the ZIP."""
    data = packed([("1", photo()), ("2", b"a"), ("3", photo())])
    assert outcome(photo(), data, b"Kia ora") == [
        (1, "files/1.jpg"), (2, "files/2.jpg"), (2, "files/3.txt"), (2, "files/4.jpg"), (3, "files/5.txt"),
    ]  # fmt: skip


def test_what_has_no_room_is_counted():
    """Twelve photos beside one text are nine photos and the number of those that were not taken."""
    data = packed([(str(number), photo((number, 0, 0))) for number in range(12)])
    results = outcome(data, b"Kia ora")
    assert [one[0] for one in results] == [1] * 10 + [2]
    assert results[9] == (1, "archive-rest", 3)
    assert outcome(*[data] * 10) == [
        *((number, *rest) for number in range(1, 11) for rest in [(f"files/{number}.jpg",), ("archive-rest", 11)])
    ]


def test_a_bad_file_in_a_zip_costs_only_itself():
    """An unknown file, a ZIP and a broken file in a ZIP are refused or counted; the photos beside them are taken."""
    data = bytearray(packed([("1", photo()), ("2", b"\x7fELF" + bytes(range(256))), ("3", packed([("4", photo())]))]))
    assert [rest for _, *rest in outcome(bytes(data))] == [["files/1.jpg"], ["unknown"], ["archive"]]
    stored = bytearray(packed([("1", photo()), ("2", CHAT)], zipfile.ZIP_STORED))
    stored[stored.index(CHAT) + 5] ^= 255  # the checksum no longer fits
    assert outcome(bytes(stored)) == [(1, "files/1.jpg"), (1, "archive-rest", 1)]


def test_what_macs_put_into_a_zip_is_neither_taken_nor_counted():
    """Folders, empty files and the marks of macOS are passed over in silence."""
    marks = [("a/", b""), ("__MACOSX/._1", b"\0\5\x16\7Hemi"), (".DS_Store", b"\0\0\0\1Bud1Hemi"), ("e", b"")]
    assert outcome(packed([*marks, ("a/1", photo())])) == [(1, "files/1.jpg")]


def _encrypted() -> bytes:
    data = bytearray(packed([("1", photo())]))
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


def _overlapping() -> bytes:
    """Return a ZIP whose two entries are the same bytes."""
    data = packed([("1", photo()), ("2", photo())])
    at = data.rindex(b"PK\1\2")
    return data[: at + 42] + struct.pack("<I", 0) + data[at + 46 :]


def _long_zip64() -> bytes:
    """Return a ZIP whose entry says that it is 2^40 bytes long."""
    data = packed([("1", photo())])
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    extra = struct.pack("<HHQ", 1, 8, 1 << 40)
    entry = bytearray(data[at:end]) + extra
    entry[24:28], entry[30:32] = b"\xff" * 4, struct.pack("<H", len(extra))
    tail = bytearray(data[end:])
    tail[12:16] = struct.pack("<I", len(entry))
    return data[:at] + bytes(entry) + bytes(tail)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (_encrypted, "encrypted"),
        (_overlapping, "archive"),
        (_long_zip64, "archive"),
        (lambda: packed([("1", bytes(300_000_000))]), "archive"),
        (lambda: packed([("1", packed([("2", photo())]))] * 1), "archive"),
        (lambda: packed([("a/", b"")]), "archive"),
        (lambda: packed([(str(number), b"") for number in range(10_001)]), "too-heavy"),
    ],
    ids=["encrypted", "overlapping", "zip64", "bomb", "nested", "folder", "many entries"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_hostile_zip_is_refused_with_what_helps(make, code):
    """A ZIP that is locked, damaged, too large or too deep is one refusal, with a sentence for the reason."""
    assert [one[1] for one in outcome(make())] == [code]


def test_what_is_unpacked_is_bounded():
    """Of 100 entries of 10 MB of zeros, no more is taken than the limit says, and a lying length ends the entry."""
    bomb = packed([(str(number), bytes(10_000_000)) for number in range(100)])
    result = None
    with pytest.raises(FileRefusedError, match="empty"):
        result = unpack_archive(bomb)
    assert result is None
    assert most_unpacked(len(bomb)) < 10_000_000
    words = packed([(str(number), random.Random(number).randbytes(3_000_000)) for number in range(12)], 0)
    taken = unpack_archive(words)
    assert (len(taken.files), taken.left_out) == (10, 2)
    assert {file.format for file in taken.files} == {OutputFormat.RAW}
    assert max(map(most_unpacked, range(0, 100_000_000, 99_991))) == MAX_UNPACKED_BYTES


def test_the_memory_for_uploads_covers_what_is_unpacked():
    """A ZIP counts with what may come out of it and what may be made of that; other uploads count as before."""
    for size in (30_000, 5_000_000, 20_000_000):
        zipped = b"PK\3\4" + bytes(size)
        assert memory_to_clean_uploads([zipped]) >= most_unpacked(size) + memory_to_clean_uploads([b"x" + zipped])
        assert size + memory_to_clean_uploads([zipped]) < 400_000_000
    assert memory_to_clean_uploads([b"PK\3\4"]) < 80_000_000


def test_the_pictures_of_a_document_follow_its_words():
    """A Word file gives its words, then each picture that it shows, without metadata; nothing says they are lost."""
    results = clean(document(words("He took it") + inline("r1") + inline("r0") + inline("r1")))
    assert [one.path for one in results] == ["files/1.txt", "files/2.png", "files/3.png"]
    assert results[0].removed == ("layout (the words and the pictures are sent as files of their own)",)
    assert [Image.open(io.BytesIO(one.data)).getpixel((0, 0))[0] for one in results[1:]] == [1, 0]
    assert not any(b"Hemi" in one.data for one in results)


def test_a_document_of_screenshots_gives_its_pictures():
    """Of a Word file without words only its pictures come, and no refusal."""
    assert outcome(document(inline("r0") + inline("r1"))) == [(1, "files/2.png"), (1, "files/3.png")]


def test_pictures_without_room_are_counted():
    """A Word file with 12 pictures beside a text gives its words, eight pictures and the number of the others."""
    body = words("He took it") + "".join(inline(f"r{number}") for number in range(12))
    results = outcome(document(body, 12), b"Kia ora")
    assert len(results) == 11
    assert results[9] == (1, "pictures-rest", 4)


FLOATING = words("Her name is under the box") + inline("r0")
NOT_SHOWN = {
    "nowhere": "",
    "deleted": f"<w:del>{inline('r0')}</w:del>",
    "hidden": inline("r0").replace("<w:r>", "<w:r><w:rPr><w:vanish/></w:rPr>"),
    "cropped": inline("r0", crop='<a:srcRect l="25000"/>'),
    "cropped once": inline("r0") + inline("r0", crop='<a:srcRect b="1"/>'),
    "oval": inline("r0", shape="ellipse"),
    "dark": inline("r0", blip='<a:lum bright="-100000"/>'),
    "effect": inline("r0", blip='<a:extLst><a:ext><a14:imgProps xmlns:a14="x"/></a:ext></a:extLst>'),
    "floating": inline("r0", wrapper="anchor"),
    "under a box": FLOATING
    + "<w:p><w:r><mc:Choice><w:drawing><wp:anchor><wps:wsp/></wp:anchor></w:drawing></mc:Choice>"
    "</w:r></w:p>",
    "under an old box": FLOATING + "<w:p><w:r><w:pict><v/></w:pict></w:r></w:p>",
    "under a frame": FLOATING + "<w:p><w:pPr><w:framePr/></w:pPr></w:p>",
    "in a low line": '<w:p><w:pPr><w:spacing w:line="20" w:lineRule="exact"/></w:pPr></w:p>' + inline("r0"),
    "elsewhere": inline("r30"),
}


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_a_picture_that_the_document_does_not_show_whole_is_not_taken(name):
    """What a writer deleted, hid, cropped, changed or may have covered stays inside; the words come alone."""
    assert outcome(document(words("He took it") + NOT_SHOWN[name], 1)) == [(1, "files/1.txt")]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("word/header1.xml", "<hdr><p><r><drawing><anchor/></drawing></r></p></hdr>"),
        ("word/footnotes.xml", "<footnotes><footnote id='1'><p><r><pict/></r></p></footnote></footnotes>"),
        ("word/styles.xml", "<styles><style><spacing lineRule='exact'/></style></styles>"),
    ],
)
def test_a_box_in_a_header_or_an_exact_style_covers_pictures_too(name, part):
    """A drawing that floats in a header or a note, or a style with exact lines, keeps all pictures inside."""
    assert outcome(document(words("a") + inline("r0"), further=[(name, part)])) == [(1, "files/1.txt")]


# The drawings as Word for Windows and Google Docs write them.
REAL = {
    "Word": '<wp:inline distT="0"><wp:extent cx="9" cy="9"/><wp:effectExtent l="0" t="0" r="0" b="0"/>'
    '<wp:docPr id="1" name="Picture 1" descr="C:\\Users\\Hemi"><a:extLst><a:ext uri="{FF2}">'
    '<a16:creationId xmlns:a16="u"/>'
    "</a:ext></a:extLst></wp:docPr><wp:cNvGraphicFramePr><a:graphicFrameLocks/></wp:cNvGraphicFramePr><a:graphic>"
    '<a:graphicData uri="u"><pic:pic><pic:nvPicPr><pic:cNvPr id="0" name=""/><pic:cNvPicPr><a:picLocks/></pic:cNvPicPr>'
    '</pic:nvPicPr><pic:blipFill rotWithShape="1"><a:blip r:embed="r0"><a:extLst><a:ext uri="{28A}"><a14:useLocalDpi '
    'xmlns:a14="v" val="0"/></a:ext></a:extLst></a:blip><a:srcRect/><a:stretch><a:fillRect/></a:stretch></pic:blipFill>'
    '<pic:spPr bwMode="auto"><a:xfrm><a:off x="0" y="0"/><a:ext cx="9" cy="9"/></a:xfrm>'
    '<a:prstGeom prst="rect"><a:avLst/>'
    "</a:prstGeom><a:noFill/><a:ln><a:noFill/></a:ln></pic:spPr></pic:pic></a:graphicData></a:graphic></wp:inline>",
    "Google Docs": '<wp:inline><wp:extent cx="9" cy="9"/><wp:effectExtent/>'
    '<wp:docPr id="1" name="image1.png"/><a:graphic>'
    '<a:graphicData uri="u"><pic:pic><pic:nvPicPr><pic:cNvPr id="0" name="image1.png"/>'
    "<pic:cNvPicPr preferRelativeResize="
    '"0"/></pic:nvPicPr><pic:blipFill><a:blip r:embed="r0"/><a:srcRect b="0" l="0" r="0" t="0"/>'
    "<a:stretch><a:fillRect/>"
    '</a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off/><a:ext/></a:xfrm><a:prstGeom prst="rect"/><a:ln/></pic:spPr>'
    "</pic:pic></a:graphicData></a:graphic></wp:inline>",
}


@pytest.mark.parametrize("program", REAL)
def test_drawings_of_common_programs_are_plain(program):
    """A picture in line, as Word and Google Docs write one, is taken."""
    body = f"<w:p><w:r><w:drawing>{REAL[program]}</w:drawing></w:r></w:p>"
    assert outcome(document(body)) == [(1, "files/2.png")]


def test_some_pictures_are_taken_and_the_cropped_ones_counted():
    """Beside a cropped picture a whole one is taken, and the sender reads that one is missing."""
    body = words("a") + inline("r0") + inline("r1", crop='<a:srcRect l="25000"/>')
    assert outcome(document(body)) == [(1, "files/1.txt"), (1, "files/2.png"), (1, "pictures-rest", 1)]


@pytest.mark.parametrize("seed", range(4))
def test_damaged_zips_and_documents_end_as_files_or_refusals(seed):
    """Each of 500 damaged ZIPs and Word files ends as raw files within the bounds or as a known refusal."""
    draw, endings = random.Random(seed), set()
    sources = [
        packed([("1", photo()), ("_chat.txt", CHAT), ("2", photo(kind="PNG"))]),
        document(words("He took it") + inline("r0") + inline("r1")),
        packed([("1", photo()), ("2", CHAT)], zipfile.ZIP_STORED),
    ]
    for _ in range(500):
        data = bytearray(draw.choice(sources))
        for _ in range(draw.randrange(1, 9)):
            data[draw.choice([draw.randrange(len(data)), max(0, len(data) - draw.randrange(1, 400))])] = draw.randrange(
                256
            )
        try:
            result = unpack_archive(bytes(data))
        except FileRefusedError as refused:
            endings.add(refused.code)
        except (ValueError, OverflowError, struct.error, UnicodeError, OSError, NotImplementedError):
            endings.add("damaged")  # as the worker does with whatever a reader raises
        else:
            endings.add("files")
            assert sum(len(file.data) for file in result.files) <= most_unpacked(len(data))
    assert "files" in endings
    assert endings <= {"files", *REFUSALS_OF_UNPACKING}


def test_refusals_of_uploads_have_a_count():
    """A refusal of one file counts one."""
    assert [(one.upload, one.count) for one in clean(b"") if isinstance(one, RefusedFile)] == [(1, 1)]
