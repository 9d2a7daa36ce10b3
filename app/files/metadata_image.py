"""Returns the kinds of metadata in a picture, so that its sender can be told what was removed.

What is found here does not decide what survives: the picture is rebuilt from its pixels in any case. So faulty
metadata is skipped, and nothing here raises. Sources: Exif 2.32 (CIPA DC-008), TIFF 6.0, XMP (ISO 16684-1).
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from PIL import ExifTags, Image

from app.files.containers import container_part_kinds
from app.files.protocol import RemovedKind

_TAGS_OF_KIND = {
    RemovedKind.CAMERA: (0x010F, 0x0110, 0xA432, 0xA433, 0xA434, 0xC614),
    RemovedKind.SERIAL: (0xA431, 0xA435, 0xC62F),
    RemovedKind.DATE: (0x0132, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292, 0xC71B),
    RemovedKind.AUTHOR: (0x013B, 0x8298, 0x9C9D, 0xA430),
    RemovedKind.COMMENTS: (0x9286, 0x9C9C),
    RemovedKind.TITLE: (0x010D, 0x010E, 0x011D, 0x9C9B, 0xA436),
    RemovedKind.KEYWORDS: (0x9C9E, 0x9C9F, 0x83BB),
    RemovedKind.SOFTWARE: (0x000B, 0x0131, 0x013C, 0xA438, 0xA439),
    RemovedKind.MAKER_NOTES: (0x927C, 0xC634),
    RemovedKind.NUMBER: (0xA420, 0xC65D),
    RemovedKind.XMP: (0x02BC,),
    RemovedKind.PROFILE: (0x8773,),
    RemovedKind.LAYERS: (0x8649, 0x935C),
}
_KIND_OF_TAG = {tag: kind for kind, tags in _TAGS_OF_KIND.items() for tag in tags}
# Tags that say how the picture is stored, and pointers to the directories that are read separately.
_STORAGE_TAGS = {
    0x00FE, 0x00FF, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0107, 0x010A, 0x0111, 0x0112, 0x0115, 0x0116, 0x0117,
    0x0118, 0x0119, 0x011A, 0x011B, 0x011C, 0x0128, 0x013D, 0x013E, 0x013F, 0x0140, 0x0142, 0x0143, 0x0144, 0x0145,
    0x0152, 0x0153, 0x0211, 0x0212, 0x0213, 0x0214, 0x8769, 0x8825, 0x9000, 0x9101, 0xA000, 0xA001, 0xA002, 0xA003,
    0xA005,
}  # fmt: skip
# Property names, searched for anywhere in the packet.
_XMP_NAMES = {
    RemovedKind.GPS: rb"GPS(Latitude|Longitude)|Iptc4xmp\w+:(Location|City|Sublocation)|photoshop:City",
    RemovedKind.SERIAL: rb"SerialNumber",
    RemovedKind.CAMERA: rb"tiff:(Make|Model)|aux:Lens",
    RemovedKind.DATE: rb"CreateDate|DateCreated|DateTimeOriginal|ModifyDate",
    RemovedKind.AUTHOR: rb"dc:creator|dc:rights|pdf:Author|photoshop:Credit|xmpRights:Owner|plus:",
    RemovedKind.TITLE: rb"dc:(title|description)",
    RemovedKind.KEYWORDS: rb"dc:subject|pdf:Keywords|photoshop:Headline",
    RemovedKind.HISTORY: rb"xmpMM:(History|DerivedFrom|Ingredients)|photoshop:History",
    RemovedKind.NUMBER: rb"xmpMM:(DocumentID|InstanceID|OriginalDocumentID)",
    RemovedKind.SOFTWARE: rb"xmp:CreatorTool|pdf:Producer|x:xmptk",
    RemovedKind.THUMBNAIL: rb"xmp:Thumbnails|xmpGImg",
}
_KIND_OF_INFO = {
    "comment": RemovedKind.COMMENTS,
    "icc_profile": RemovedKind.PROFILE,
    "photoshop": RemovedKind.KEYWORDS,
    "xmp": RemovedKind.XMP,
    "thumbnails": RemovedKind.THUMBNAIL,
    "depth_images": RemovedKind.FURTHER,
}


def image_metadata_kinds(data: bytes, image: Image.Image) -> set[RemovedKind]:
    """Return the kinds found in the container's parts, in Exif, in XMP and among further frames."""
    kinds = set(container_part_kinds(data))
    kinds |= {kind for key, kind in _KIND_OF_INFO.items() if image.info.get(key)}
    for find_kinds in (_exif_kinds, _xmp_packet_kinds, _frame_kinds):
        with suppress(Exception):
            kinds |= set(find_kinds(image))
    return kinds


def tiff_metadata_kinds(data: bytes) -> set[RemovedKind]:
    """Return the kinds of the tags in the first directory of a TIFF, and in those of Exif and GPS below."""
    exif, kinds = Image.Exif(), set[RemovedKind]()
    with suppress(Exception):
        exif.load(data)
        kinds.update(_directory_kinds(exif))
    return kinds


def xmp_kinds(packet: bytes) -> set[RemovedKind]:
    """Return the kinds of the properties in an XMP packet, and the kind XMP itself."""
    return {RemovedKind.XMP, *(kind for kind, names in _XMP_NAMES.items() if re.search(names, packet))}


def _exif_kinds(image: Image.Image) -> Iterator[RemovedKind]:
    exif = image.getexif()
    if image.format != "TIFF" and exif.get_ifd(ExifTags.IFD.IFD1):
        yield RemovedKind.THUMBNAIL
    yield from _directory_kinds(exif)


def _directory_kinds(exif: Image.Exif) -> Iterator[RemovedKind]:
    directories = [dict(exif), *(exif.get_ifd(directory) for directory in (ExifTags.IFD.Exif, ExifTags.IFD.Interop))]
    if exif.get_ifd(ExifTags.IFD.GPSInfo):
        yield RemovedKind.GPS
    for directory in directories:
        yield from _tag_kinds(directory)


def _tag_kinds(tags: Iterable[int]) -> Iterator[RemovedKind]:
    for tag in tags:
        if tag not in _STORAGE_TAGS:
            yield _KIND_OF_TAG.get(tag, RemovedKind.SETTINGS)


def _xmp_packet_kinds(image: Image.Image) -> set[RemovedKind]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        packet = packet.encode()
    return xmp_kinds(packet) if packet else set()


def _frame_kinds(image: Image.Image) -> Iterator[RemovedKind]:
    if image.format != "TIFF" and getattr(image, "n_frames", 1) > 1:
        yield RemovedKind.FURTHER if image.format in {"MPO", "HEIF"} else RemovedKind.ANIMATION
