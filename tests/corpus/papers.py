"""Papers with marks: a PDF, office documents, and plain text."""

import io
import zipfile
import zlib

import pikepdf
from pikepdf import Array, Dictionary, Name, String

from tests.corpus.marks import Planter, Specimen
from tests.corpus.pictures import profile, scene

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_O = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" '
    'xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"'
)


def everything() -> list[Specimen]:
    """Each kind of paper once."""
    return [_pdf(), _docx(), _xlsx(), _odt(), _text(), _wide_text()]


def _pdf() -> Specimen:
    plant = Planter("pdf")

    def string(place: str) -> String:
        return String(plant.mark(place))

    document = pikepdf.new()
    page = document.add_blank_page(page_size=(595, 842))
    font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    hidden = document.make_indirect(Dictionary(Type=Name.OCG, Name=string("layer name")))
    picture = _picture(plant, document)
    page.obj.Resources = Dictionary(
        Font=Dictionary(F=font), Properties=Dictionary(L=hidden), XObject=Dictionary(P=picture)
    )
    content = f"""BT /F 24 Tf 50 780 Td (Visible words) Tj ET
        /OC /L BDC BT /F 24 Tf 50 600 Td ({plant.mark("hidden layer")}) Tj ET EMC
        BT /F 24 Tf 3 Tr 50 560 Td ({plant.mark("invisible text")}) Tj 0 Tr ET
        BT /F 24 Tf 1 g 50 520 Td ({plant.mark("white text")}) Tj 0 g ET
        BT /F 24 Tf 50 480 Td ({plant.mark("text under a box")}) Tj ET 40 460 500 50 re f
        BT /F 24 Tf 900 480 Td ({plant.mark("text off the page")}) Tj ET
        /Span << /ActualText ({plant.mark("actual text")}) >> BDC EMC
        q 200 0 0 125 50 300 cm /P Do Q"""
    page.obj.Contents = document.make_stream(content.encode())
    page.obj.PieceInfo = Dictionary(App=Dictionary(Private=string("piece information")))
    page.obj.Thumb = document.make_stream(plant.mark("page thumbnail").encode())
    page.obj.Annots = Array([_note(plant), _link(plant), _field(plant, document)])
    root = document.Root
    root.OCProperties = Dictionary(OCGs=Array([hidden]), D=Dictionary(OFF=Array([hidden]), Order=Array([hidden])))
    root.AcroForm = Dictionary(Fields=Array([page.obj.Annots[2]]))
    root.OpenAction = Dictionary(S=Name.JavaScript, JS=string("JavaScript on opening"))
    script = Dictionary(S=Name.JavaScript, JS=string("named JavaScript"))
    root.Names = Dictionary(JavaScript=Dictionary(Names=Array([String("a"), script])))
    root.PageLabels = Dictionary(Nums=Array([0, Dictionary(P=string("page label"))]))
    root.StructTreeRoot = Dictionary(K=Dictionary(S=Name.P, Alt=string("alternative text")))
    root.Lang = string("language")
    with document.open_outline() as outline:
        outline.root.append(pikepdf.OutlineItem(plant.mark("bookmark"), 0))
    document.attachments["a.txt"] = plant.mark("embedded file").encode()
    document.attachments["a.txt"].description = plant.mark("embedded file's description")
    with document.open_metadata(set_pikepdf_as_editor=False) as xmp:
        xmp["dc:creator"] = [plant.mark("XMP")]
    for name in ("Author", "Title", "Subject", "Keywords", "Creator", "Producer"):
        document.docinfo[f"/{name}"] = string(name)
    target = io.BytesIO()
    document.save(target, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    document_id = pikepdf.open(io.BytesIO(target.getvalue())).trailer.ID[0]
    plant.note("document number", bytes(document_id))
    data = target.getvalue() + _earlier_version(plant) + plant.mark("trailing bytes").encode()
    return Specimen("letter.pdf", data, plant.places, ("Visible", "words"))


def _picture(plant: Planter, document: pikepdf.Pdf) -> pikepdf.Stream:
    target = io.BytesIO()
    scene().save(target, "JPEG", comment=plant.mark("comment in a picture").encode(),
                 icc_profile=profile(plant.mark("profile of a picture", 13)))  # fmt: skip
    picture = document.make_stream(b"")
    picture.write(target.getvalue(), filter=Name.DCTDecode)
    picture.Type, picture.Subtype, picture.Width, picture.Height = Name.XObject, Name.Image, 320, 200
    picture.BitsPerComponent, picture.ColorSpace = 8, Name.DeviceRGB
    return picture


def _note(plant: Planter) -> Dictionary:
    return Dictionary(
        Type=Name.Annot, Subtype=Name.Text, Rect=Array([500, 700, 520, 720]), T=String(plant.mark("writer of a note")),
        Contents=String(plant.mark("note")), NM=String(plant.mark("number of a note")),
    )  # fmt: skip


def _link(plant: Planter) -> Dictionary:
    action = Dictionary(S=Name.URI, URI=String("https://example.org/" + plant.mark("address of a link")))
    return Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=Array([50, 700, 90, 720]), A=action)


def _field(plant: Planter, document: pikepdf.Pdf) -> Dictionary:
    return document.make_indirect(
        Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Tx,
            F=2,
            Rect=Array([50, 100, 300, 120]),
            T=String(plant.mark("name of a field")),
            V=String(plant.mark("value of a hidden field")),
        )
    )


def _earlier_version(plant: Planter) -> bytes:
    """An object that an editing program appended and no page uses any more."""
    stream = zlib.compress(b"BT (" + plant.mark("earlier version").encode() + b") Tj ET")
    return b"\n999 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream\nendobj\n%%%%EOF\n" % (
        len(stream), stream,
    )  # fmt: skip


def _zip(parts: dict[str, str | bytes], comment: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
        archive.comment = comment.encode()
    return target.getvalue()


def _core(plant: Planter) -> str:
    return f"""{_XML}<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
        xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>{plant.mark("creator")}</dc:creator>
        <cp:lastModifiedBy>{plant.mark("last modified by")}</cp:lastModifiedBy>
        <dc:title>{plant.mark("title")}</dc:title></cp:coreProperties>"""


def _docx() -> Specimen:
    plant = Planter("docx")
    picture = io.BytesIO()
    scene().save(picture, "JPEG", comment=plant.mark("comment in a picture").encode())

    def run(place: str, properties: str = "", tag: str = "w:t") -> str:
        return f"<w:r><w:rPr>{properties}</w:rPr><{tag}>{plant.mark(place)}</{tag}></w:r>"

    body = f"""<w:p w:rsidR="{plant.mark("rsid")}"><w:r><w:t>Visible words</w:t></w:r>
        {run("hidden text", "<w:vanish/>")}
        <w:del w:author="{plant.mark("who deleted")}">{run("deleted text", tag="w:delText")}</w:del>
        <w:moveFrom>{run("moved text")}</w:moveFrom>{run("field code", tag="w:instrText")}
        <w:ins w:author="{plant.mark("who added")}" w:date="2020-01-02T03:04:05Z"><w:r><w:t>added</w:t></w:r></w:ins>
        <w:bookmarkStart w:name="{plant.mark("bookmark")}"/></w:p>
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>in a cell</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"""
    parts = {
        "[Content_Types].xml": f"{_XML}<Types/>",
        "word/document.xml": f"{_XML}<w:document {_W}><w:body>{body}</w:body></w:document>",
        "docProps/core.xml": _core(plant),
        "docProps/app.xml": f"<Properties><Company>{plant.mark('company')}</Company></Properties>",
        "docProps/custom.xml": f"<Properties>{plant.mark('custom property')}</Properties>",
        "docProps/thumbnail.jpeg": plant.mark("thumbnail"),
        "word/comments.xml": f"<w:comments {_W}>{run('comment')}</w:comments>",
        "word/header1.xml": f"<w:hdr {_W}>{run('header')}</w:hdr>",
        "word/people.xml": f"<people>{plant.mark('people')}</people>",
        "word/settings.xml": f"<settings>{plant.mark('settings')}</settings>",
        "word/embeddings/a.bin": plant.mark("embedded object"),
        "word/media/image1.jpeg": picture.getvalue(),
        "customXml/item1.xml": f"<a>{plant.mark('custom XML')}</a>",
    }
    data = _zip(parts, plant.mark("comment of the zip"))
    return Specimen("letter.docx", data, plant.places, ("Visible words", "added", "in a cell"))


def _xlsx() -> Specimen:
    plant = Planter("xlsx")
    shared = "".join(f"<si><t>{text}</t></si>" for text in ("Visible words", plant.mark("unused string")))
    hidden = plant.mark("hidden row")
    column = plant.mark("hidden column")

    def inline(reference: str, text: str) -> str:
        return f'<c r="{reference}" t="inlineStr"><is><t>{text}</t></is></c>'

    sheet = f"""{_XML}<worksheet {_S}><cols><col min="3" max="3" hidden="1"/></cols><sheetData>
        <row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><f>{plant.mark("formula")}</f><v>42</v></c>
        {inline("C1", column)}{inline("D1", "beside it")}</row>
        <row r="2" hidden="1">{inline("A2", hidden)}</row></sheetData></worksheet>"""
    parts = {
        "[Content_Types].xml": f"{_XML}<Types/>",
        "xl/workbook.xml": f"""{_XML}<workbook {_S} {_R}><sheets><sheet name="Payments" r:id="rId1"/>
            <sheet name="{plant.mark("hidden sheet's name")}" state="veryHidden" r:id="rId2"/></sheets>
            <definedNames><definedName>{plant.mark("defined name")}</definedName></definedNames></workbook>""",
        "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/>'
        '<Relationship Id="rId2" Target="/xl/worksheets/sheet2.xml"/></Relationships>',
        "xl/sharedStrings.xml": f"<sst {_S}>{shared}</sst>",
        "xl/worksheets/sheet1.xml": sheet,
        "xl/worksheets/sheet2.xml": f"<worksheet {_S}><sheetData><row>{inline('A1', plant.mark('hidden sheet'))}</row>"
        "</sheetData></worksheet>",
        "xl/comments1.xml": f"<comments>{plant.mark('comment')}</comments>",
        "xl/externalLinks/externalLink1.xml": f"<a>{plant.mark('link to another file')}</a>",
        "docProps/core.xml": _core(plant),
    }
    data = _zip(parts, plant.mark("comment of the zip"))
    return Specimen("payments.xlsx", data, plant.places, ("Payments", "Visible words\t42\t", "beside it"))


def _odt() -> Specimen:
    plant = Planter("odt")
    content = f"""{_XML}<office:document-content {_O}><office:automatic-styles>
        <style:style style:name="T1" style:family="text"><style:text-properties text:display="none"/></style:style>
        </office:automatic-styles><office:body><office:text><text:tracked-changes><text:changed-region>
        <text:deletion><office:change-info><dc:creator>{plant.mark("who deleted")}</dc:creator></office:change-info>
        <text:p>{plant.mark("deleted text")}</text:p></text:deletion></text:changed-region></text:tracked-changes>
        <text:p>Visible<text:s text:c="2"/>words<office:annotation>
        <dc:creator>{plant.mark("who commented")}</dc:creator>
        <text:p>{plant.mark("comment")}</text:p></office:annotation>
        <text:span text:style-name="T1">{plant.mark("hidden text")}</text:span>
        <text:hidden-text text:string-value="a">{plant.mark("hidden field")}</text:hidden-text></text:p>
        </office:text></office:body></office:document-content>"""
    parts = {
        "mimetype": "application/vnd.oasis.opendocument.text",
        "content.xml": content,
        "meta.xml": f"""<office:document-meta {_O}><office:meta><meta:initial-creator>{plant.mark("creator")}
            </meta:initial-creator><meta:user-defined>{plant.mark("user defined")}</meta:user-defined>
            </office:meta></office:document-meta>""",
        "settings.xml": f"<a>{plant.mark('settings')}</a>",
        "Thumbnails/thumbnail.png": plant.mark("thumbnail"),
        "META-INF/manifest.xml": f"<a>{plant.mark('manifest')}</a>",
        "Object 1/content.xml": f"<a>{plant.mark('embedded object')}</a>",
    }
    return Specimen("letter.odt", _zip(parts, plant.mark("comment of the zip")), plant.places, ("Visible words",))


def _text() -> Specimen:
    plant = Planter("txt")
    for place, letters in (
        ("zero-width marks", "\u200b\u2060\ufeff\u200b"), ("bidirectional override", "\u202e\u202d"),
        ("variation selectors", "\ufe01\ufe0d\U000e0101"), ("tag letters", "\U000e0041\U000e0042"),
        ("soft hyphens", "\u00ad\u00ad"),
    ):  # fmt: skip
        plant.note(place, letters.encode())
    text = "".join(f"Visible words {mark.decode()}\r\n" for mark in plant.places.values())
    return Specimen("notes.txt", b"\xef\xbb\xbf" + text.encode(), plant.places, ("Visible words",))


def _wide_text() -> Specimen:
    plant = Planter("utf16")
    plant.note("zero-width marks", "\u200b\u2060".encode())
    text = "Kia ora, visible words \u200b\u2060"
    return Specimen("wide.txt", b"\xff\xfe" + text.encode("utf-16-le"), plant.places, ("Kia ora, visible words",))
