"""Small files that ask for far too much, and files that are broken, locked, empty or several things at once."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import pikepdf
from PIL import Image

from tests.corpus.boxes import box, full
from tests.corpus.pictures import scene


class BadFile(NamedTuple):
    """A way to make a file, which may take seconds, and the codes it may be refused with."""

    make: Callable[[], bytes]
    codes: set[str]


def refused() -> dict[str, BadFile]:
    """Each file by name."""
    small = _nothing() | _unknown() | _locked() | _damaged()
    return {name: BadFile(partial(bytes, data), codes) for name, (data, codes) in small.items()} | _too_much()


def _saved(form: str, image: Image.Image | None = None, **options: object) -> bytes:
    target = io.BytesIO()
    (image or scene()).save(target, form, **options)
    return target.getvalue()


def _nothing() -> dict[str, tuple[bytes, set[str]]]:
    return {"no bytes": (b"", {"empty"}), "zeros": (bytes(1000), {"empty"}), "blanks": (b" \r\n\t" * 9, {"empty"})}


def _unknown() -> dict[str, tuple[bytes, set[str]]]:
    other_zip = io.BytesIO()
    with zipfile.ZipFile(other_zip, "w") as archive:
        archive.writestr("a.txt", "words")
    return {
        name: (data, {code})
        for name, (data, code) in {
            "program": (b"\x7fELF\2\1\1" + bytes(100), "unknown"),
            "old office file": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "save-as-pdf"),
            "rich text": (rb"{\rtf1{\info{\author Somebody}}words}", "save-as-pdf"),
            "drawing with script": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "markup"),
            "web page": (b"\n <!DOCTYPE html><title>a</title>", "markup"),
            "PostScript": (b"%!PS-Adobe-3.0\nshowpage", "save-as-pdf"),
            "another zip": (other_zip.getvalue(), "archive"),
            "control characters": (b"words \x01\x02 words", "unknown"),
        }.items()
    }


def _locked() -> dict[str, tuple[bytes, set[str]]]:
    target = io.BytesIO()
    document = pikepdf.new()
    document.add_blank_page()
    document.save(target, encryption=pikepdf.Encryption(user="secret", owner="secret"))
    locked_zip = bytearray(_docx("words"))
    for name, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = locked_zip.find(name)
        while at >= 0:
            locked_zip[at + flags] |= 1
            at = locked_zip.find(name, at + 1)
    office = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    return {
        "PDF with a password": (target.getvalue(), {"encrypted"}),
        "zip with a password": (bytes(locked_zip), {"encrypted"}),
        "office file with a password": (office, {"encrypted"}),
    }


def _docx(text: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", f"<document><body><p><t>{text}</t></p></body></document>")
    return target.getvalue()


def _deflated(byte: bytes, count: int) -> bytes:
    """So many bytes deflated (RFC 1950): one piece, which does not look back beyond itself, again and again."""
    packer, piece = zlib.compressobj(9, zlib.DEFLATED, -15), byte * 1_000_000
    packed, checksum = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH), 1
    for _ in range(times := count // len(piece)):
        checksum = zlib.adler32(piece, checksum)
    return b"\x78\xda" + packed * times + b"\3\0" + struct.pack(">I", checksum)


def _too_much() -> dict[str, BadFile]:
    makers: Mapping[str, tuple[Callable[[], bytes], set[str]]] = {
        "PNG of 900 megapixels": (partial(_wide_png, 30_000, 30_000), {"too-many-pixels"}),
        "PNG of 201 megapixels": (partial(_wide_png, 20_100, 10_000), {"too-many-pixels"}),
        "JPEG of 2500 megapixels": (partial(_wide_jpeg, 50_000), {"too-many-pixels"}),
        "GIF of 4000 megapixels": (
            lambda: b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;",
            {"too-many-pixels"},
        ),
        "TIFF page of 900 megapixels": (_wide_tiff, {"too-many-pixels", "damaged"}),
        "PNG with a text of 1 GB": (_png_text_bomb, {"damaged", "too-heavy"}),
        "PDF of 101 pages": (partial(_pages, 101), {"too-many-pages"}),
        "PDF of a million pages": (_page_bomb, {"too-many-pages", "damaged"}),
        "PDF with a picture of 1 GB": (_flate_bomb, {"too-heavy", "too-slow", "damaged"}),
        "TIFF of 101 pages": (partial(_tiff_pages, 101), {"too-many-pages"}),
        "zip with 1 GB of text": (_zip_bomb, {"too-heavy"}),
        "zip with 20,000 parts": (partial(_zip_of_parts, 20_000), {"too-heavy"}),
        "sheet whose rows are wide": (_wide_rows, {"too-heavy"}),
        "entities that multiply": (_entities, {"damaged"}),
        "deep XML": (lambda: _docx("<p>" * 200_000), {"damaged"}),
        "MP4 of nested boxes": (_nested_boxes, {"damaged"}),
        "MP4 of a thousand million samples": (_sample_bomb, {"damaged", "too-heavy", "too-slow"}),
    }
    return {name: BadFile(make, codes) for name, (make, codes) in makers.items()}


def _png(width: int, height: int, chunks: bytes, pixels: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunks + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _wide_png(width: int, height: int) -> bytes:
    return _png(width, height, b"", _deflated(b"\0", width * height))


def _png_text_bomb() -> bytes:
    text = b"Comment\0\0" + _deflated(b"a", 1_000_000_000)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    return _png(8, 8, chunk, zlib.compress(bytes(72)))


def _wide_jpeg(side: int) -> bytes:
    data = bytearray(_saved("JPEG"))
    frame = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, frame + 5, side, side)
    return bytes(data)


def _wide_tiff() -> bytes:
    data = bytearray(_saved("TIFF"))
    at = struct.unpack_from("<I", data, 4)[0]
    for entry in range(struct.unpack_from("<H", data, at)[0]):
        place = at + 2 + entry * 12
        if struct.unpack_from("<H", data, place)[0] in {256, 257}:
            struct.pack_into("<HII", data, place + 2, 4, 1, 30_000)
    return bytes(data)


def _pages(count: int, size: tuple[int, int] = (100, 100)) -> bytes:
    target, document = io.BytesIO(), pikepdf.new()
    for _ in range(count):
        document.add_blank_page(page_size=size)
    document.save(target)
    return target.getvalue()


def _page_bomb() -> bytes:
    """A tree whose one page is its own sibling a million times."""
    kids = b" ".join([b"3 0 R"] * 1000)
    tree = b" ".join([b"2 0 R"] * 1000)
    objects = [
        b"<< /Type /Catalog /Pages 4 0 R >>",
        b"<< /Type /Pages /Parent 4 0 R /Count 1000 /Kids [%s] >>" % kids,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
        b"<< /Type /Pages /Count 1000000 /Kids [%s] >>" % tree,
    ]
    return _pdf(objects)


def _pdf(objects: list[bytes]) -> bytes:
    data, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    tail = b"xref\n0 %d\n%strailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (size, table, size, len(data))
    return data + tail


def _flate_bomb() -> bytes:
    """A page with one picture of 20,000 by 20,000 points in three colours: 1.2 GB from 1.2 MB."""
    pixels = _deflated(b"\x55", 1_200_000_000)
    picture = (
        b"<< /Type /XObject /Subtype /Image /Width 20000 /Height 20000 /BitsPerComponent 8 /ColorSpace /DeviceRGB "
        b"/SMask 6 0 R /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(pixels), pixels)
    )
    mask = picture.replace(b"/DeviceRGB /SMask 6 0 R", b"/DeviceGray")
    resources = b"<< /XObject << /P 5 0 R >> >>"
    content = b"500 0 0 500 0 0 cm /P Do"
    return _pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 500 500] /Contents 4 0 R /Resources %s >>" % resources,
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
            picture,
            mask,
        ]
    )


def _tiff_pages(count: int) -> bytes:
    page = Image.new("1", (8, 8))
    return _saved("TIFF", page, save_all=True, append_images=[page] * (count - 1))


def _zip_bomb() -> bytes:
    target = io.BytesIO()
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("word/document.xml", "w") as part,
    ):
        part.write(b"<document><body><p><t>")
        for _ in range(1000):
            part.write(b"a" * 1_000_000)
    return target.getvalue()


def _zip_of_parts(count: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(count):
            archive.writestr(f"word/{number}", b"")
    return target.getvalue()


def _wide_rows() -> bytes:
    """A sheet of rows with one cell each, in the last column there is."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", '<workbook><sheets><sheet name="a" id="r"/></sheets></workbook>')
        archive.writestr("xl/_rels/workbook.xml.rels", '<a><Relationship Id="r" Target="a.xml"/></a>')
        with archive.open("xl/a.xml", "w") as part:
            part.write(b"<worksheet>")
            for _ in range(100):
                part.write(b'<row><c r="XFD1"/></row>' * 1000)
            part.write(b"</worksheet>")
    return target.getvalue()


def slow_pages() -> bytes:
    """A PDF of a hundred pages of A4, which take some seconds."""
    return _pages(100, (595, 842))


def _entities() -> bytes:
    lines = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        xml = f'<!DOCTYPE d [<!ENTITY a0 "ha">{lines}]><document><body><p><t>&a9;</t></p></body></document>'
        archive.writestr("word/document.xml", xml)
    return target.getvalue()


def _nested_boxes() -> bytes:
    """Ten thousand boxes, each in the one before it."""
    names = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"meta")
    depth = 10_000
    inside = b"".join(struct.pack(">I4s", (depth - level) * 8, names[level % 7]) for level in range(depth))
    return box(b"ftyp", b"isom" + bytes(4)) + inside


def _sample_bomb() -> bytes:
    """A track that claims a thousand million samples of one byte."""
    claims = struct.pack(">I", 1) + struct.pack(">II", 1_000_000_000, 1)
    sizes = struct.pack(">II", 1, 1_000_000_000)
    table = full(b"stsd", struct.pack(">I", 1) + box(b"avc1", bytes(78))) + full(b"stts", claims)
    table += full(b"stsz", sizes) + full(b"stsc", struct.pack(">IIII", 1, 1, 1_000_000_000, 1))
    table += full(b"stco", struct.pack(">II", 1, 40))
    minf = box(b"minf", full(b"vmhd", bytes(8)) + box(b"stbl", table))
    handler = full(b"hdlr", bytes(4) + b"vide" + bytes(13))
    mdia = box(b"mdia", full(b"mdhd", struct.pack(">IIIII", 0, 0, 1000, 1000, 0)) + handler + minf)
    trak = box(b"trak", full(b"tkhd", bytes(80)) + mdia)
    moov = box(b"moov", full(b"mvhd", bytes(96)) + trak)
    return box(b"ftyp", b"isom" + bytes(4)) + moov + box(b"mdat", bytes(1000))


def _damaged() -> dict[str, tuple[bytes, set[str]]]:
    forms = {"PNG": {}, "WEBP": {}, "GIF": {}, "TIFF": {}, "AVIF": {"max_threads": 1}}
    cut = {f"half a {form}": _saved(form, **options)[:-5000] for form, options in forms.items()}
    cut["start of a JPEG"] = _saved("JPEG")[:3000]
    cut["start of a PDF"] = b"%PDF-1.7\n1 0 obj << /Type /Catalog"
    cut["start of a zip"] = _docx("words " * 100)[:120]
    cut["start of an MP4"] = box(b"ftyp", b"isom" + bytes(4)) + struct.pack(">I4s", 50_000, b"mdat") + bytes(900)
    cut["start of an Ogg"] = b"OggS\0\2" + bytes(40)
    cut["WAV without sound"] = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    cut["MP3 without frames"] = b"ID3\3\0\0\0\0\0\x0a" + bytes(500)
    cut["start of a HEIC"] = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic") + bytes(100)
    return {name: (data, {"damaged"}) for name, data in cut.items()}


def polyglots() -> dict[str, tuple[bytes, bytes]]:
    """Files that are two things at once, with the mark that only the second one holds."""
    mark = b"zqpolyglotmark"
    target = io.BytesIO(_saved("JPEG"))
    target.seek(0, io.SEEK_END)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("mark.txt", mark)
    page = b"<script>/*" + mark + b"*/</script>"
    return {
        "JPEG and zip": (target.getvalue(), mark),
        "PNG and web page": (_saved("PNG") + page, mark),
        "GIF and script": (_saved("GIF") + b"*/=1;//" + mark, mark),
        "JPEG and PDF": (_saved("JPEG", comment=b"%PDF-1.4 " + mark) + _pages(1), mark),
        "PDF and zip": (_pages(1) + target.getvalue()[-300:], mark),
        "text and shell script": ("#!/bin/sh\necho 1 \u200b\u2060\n".encode(), "\u200b\u2060".encode()),
    }
