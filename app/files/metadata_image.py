"""Names the kinds of what a picture carries besides its pixels, so that its sender can be told what was taken out.

Looking only: what is found here decides nothing about what survives, for the picture is rebuilt from pixels either
way. So a faulty tag is passed over, and nothing here raises.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from PIL import ExifTags, Image

from app.files.containers import parts_of
from app.files.protocol import Kind

_TAGS = {
    Kind.CAMERA: (0x010F, 0x0110, 0xA432, 0xA433, 0xA434, 0xC614),
    Kind.SERIAL: (0xA431, 0xA435, 0xC62F),
    Kind.DATE: (0x0132, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292, 0xC71B),
    Kind.AUTHOR: (0x013B, 0x8298, 0x9C9D, 0xA430),
    Kind.COMMENTS: (0x9286, 0x9C9C),
    Kind.TITLE: (0x010D, 0x010E, 0x011D, 0x9C9B, 0xA436),
    Kind.KEYWORDS: (0x9C9E, 0x9C9F, 0x83BB),
    Kind.SOFTWARE: (0x000B, 0x0131, 0x013C, 0xA438, 0xA439),
    Kind.MAKER_NOTES: (0x927C, 0xC634),
    Kind.NUMBER: (0xA420, 0xC65D),
    Kind.XMP: (0x02BC,),
    Kind.PROFILE: (0x8773,),
    Kind.LAYERS: (0x8649, 0x935C),
}
_KIND_OF_TAG = {tag: kind for kind, tags in _TAGS.items() for tag in tags}
# How the picture is stored, and pointers to the folders that are looked into on their own.
_NEUTRAL = {
    0x00FE, 0x00FF, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0107, 0x010A, 0x0111, 0x0112, 0x0115, 0x0116, 0x0117,
    0x0118, 0x0119, 0x011A, 0x011B, 0x011C, 0x0128, 0x013D, 0x013E, 0x013F, 0x0140, 0x0142, 0x0143, 0x0144, 0x0145,
    0x0152, 0x0153, 0x0211, 0x0212, 0x0213, 0x0214, 0x8769, 0x8825, 0x9000, 0x9101, 0xA000, 0xA001, 0xA002, 0xA003,
    0xA005,
}  # fmt: skip
# Read by name out of the packet, wherever in it they stand.
_XMP_NAMES = {
    Kind.GPS: rb"GPS(Latitude|Longitude)|Iptc4xmp\w+:(Location|City|Sublocation)|photoshop:City",
    Kind.SERIAL: rb"SerialNumber",
    Kind.CAMERA: rb"tiff:(Make|Model)|aux:Lens",
    Kind.DATE: rb"CreateDate|DateCreated|DateTimeOriginal|ModifyDate",
    Kind.AUTHOR: rb"dc:creator|dc:rights|pdf:Author|photoshop:Credit|xmpRights:Owner|plus:",
    Kind.TITLE: rb"dc:(title|description)",
    Kind.KEYWORDS: rb"dc:subject|pdf:Keywords|photoshop:Headline",
    Kind.HISTORY: rb"xmpMM:(History|DerivedFrom|Ingredients)|photoshop:History",
    Kind.NUMBER: rb"xmpMM:(DocumentID|InstanceID|OriginalDocumentID)",
    Kind.SOFTWARE: rb"xmp:CreatorTool|pdf:Producer|x:xmptk",
    Kind.THUMBNAIL: rb"xmp:Thumbnails|xmpGImg",
}
_INFO = {
    "comment": Kind.COMMENTS,
    "icc_profile": Kind.PROFILE,
    "photoshop": Kind.KEYWORDS,
    "xmp": Kind.XMP,
    "thumbnails": Kind.THUMBNAIL,
    "depth_images": Kind.FURTHER,
}


def in_image(data: bytes, image: Image.Image) -> set[Kind]:
    """The kinds found in the container's parts, in EXIF, in XMP and among further frames."""
    kinds = set(parts_of(data))
    kinds |= {kind for key, kind in _INFO.items() if image.info.get(key)}
    for look in (_in_exif, _in_packet, _in_frames):
        with suppress(Exception):
            kinds |= set(look(image))
    return kinds


def in_xmp(packet: bytes) -> set[Kind]:
    """The kinds named in an XMP packet, and XMP itself."""
    return {Kind.XMP, *(kind for kind, names in _XMP_NAMES.items() if re.search(names, packet))}


def _in_exif(image: Image.Image) -> Iterator[Kind]:
    exif = image.getexif()
    folders = [dict(exif), *(exif.get_ifd(folder) for folder in (ExifTags.IFD.Exif, ExifTags.IFD.Interop))]
    if exif.get_ifd(ExifTags.IFD.GPSInfo):
        yield Kind.GPS
    if image.format != "TIFF" and exif.get_ifd(ExifTags.IFD.IFD1):
        yield Kind.THUMBNAIL
    for folder in folders:
        yield from _in_tags(folder)


def _in_tags(tags: Iterable[int]) -> Iterator[Kind]:
    for tag in tags:
        if tag not in _NEUTRAL:
            yield _KIND_OF_TAG.get(tag, Kind.SETTINGS)


def _in_packet(image: Image.Image) -> set[Kind]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        packet = packet.encode()
    return in_xmp(packet) if packet else set()


def _in_frames(image: Image.Image) -> Iterator[Kind]:
    if image.format != "TIFF" and getattr(image, "n_frames", 1) > 1:
        yield Kind.FURTHER if image.format in {"MPO", "HEIF"} else Kind.ANIMATION
