"""Pictures with marks in every place that a picture format has for them."""

import io
import struct
import subprocess
import zlib
from pathlib import Path

from PIL import Image, ImageCms, ImageDraw, TiffImagePlugin

from tests.corpus.boxes import body, box, full
from tests.corpus.marks import Planter, Specimen

C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_PROFILE_NAME = "sRGB built-in"


def everything(folder: Path, hevc: bytes) -> list[Specimen]:
    """Each picture format once; `hevc` is an MP4 of one HEVC picture, for the HEIC."""
    return [
        _jpeg(folder), _png(folder), _webp(folder), _gif(), _tiff(folder), _tiff_pages(), _heic(folder, hevc),
        _avif(folder),
    ]  # fmt: skip


def scene() -> Image.Image:
    """A picture of many colours, wider than high."""
    image = Image.effect_mandelbrot((320, 200), (-2.0, -1.2, 1.0, 1.2), 60).convert("RGB")
    noise = Image.effect_noise((320, 200), 40).convert("L")
    image = Image.merge("RGB", (image.getchannel(0), noise, image.getchannel(2)))
    ImageDraw.Draw(image).rectangle((0, 0, 80, 60), fill="red")
    return image


def profile(name: str) -> bytes:
    """An sRGB colour profile that calls itself otherwise."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    old = _PROFILE_NAME.encode("utf-16-be")
    assert old in data
    return data.replace(old, name[: len(_PROFILE_NAME)].ljust(len(_PROFILE_NAME)).encode("utf-16-be"))


def exif(plant: Planter) -> bytes:
    """EXIF with what exiftool will not write: a camera maker's notes."""
    tags = Image.Exif()
    tags[0x8769] = {0x927C: plant.mark("maker notes").encode()}
    return tags.tobytes()


def with_exiftool(folder: Path, plant: Planter, name: str, data: bytes, *groups: str) -> bytes:
    """The file with exiftool's tags of these groups planted in it."""
    source, target = folder / f"in-{name}", folder / f"out-{name}"
    source.write_bytes(data)
    target.unlink(missing_ok=True)
    number = len(name) * 7 % 90 + 10
    tags = []
    if "EXIF" in groups:
        plant.note("GPS position", f"41.28{number}61".encode())
        date = f"1987:06:{number % 28 + 1:02d} 04:03:02"
        plant.note("date and time", date.encode())
        tags += [f"-EXIF:GPSLatitude=41.28{number}61", "-EXIF:GPSLatitudeRef=S", "-EXIF:GPSLongitude=174.776"]
        tags += ["-EXIF:GPSLongitudeRef=E", f"-EXIF:DateTimeOriginal={date}"]
    tags += [f"-{tag}={plant.mark(tag)}" for group in groups for tag in _TAGS[group]]
    if "EXIF" in groups and name.endswith((".jpg", ".heic")):
        thumbnail = io.BytesIO()
        scene().resize((80, 50)).save(thumbnail, "JPEG", comment=plant.mark("thumbnail").encode())
        (folder / "thumbnail.jpg").write_bytes(thumbnail.getvalue())
        tags.append(f"-ThumbnailImage<={folder / 'thumbnail.jpg'}")
    done = subprocess.run(["exiftool", "-m", "-q", *tags, "-o", target, source], capture_output=True, check=False)
    assert target.exists(), done.stderr
    return target.read_bytes()


_TAGS = {
    "EXIF": ("EXIF:Artist", "EXIF:Make", "EXIF:Model", "EXIF:SerialNumber", "EXIF:LensSerialNumber", "EXIF:OwnerName",
             "EXIF:UserComment", "EXIF:ImageDescription", "EXIF:Software", "EXIF:XPAuthor", "EXIF:XPComment",
             "EXIF:Copyright", "EXIF:ImageUniqueID", "EXIF:GPSAreaInformation"),
    "XMP": ("XMP-dc:Creator", "XMP-dc:Description", "XMP-xmpMM:DocumentID", "XMP-photoshop:City",
            "XMP-xmp:CreatorTool", "XMP-aux:SerialNumber"),
    "IPTC": ("IPTC:By-line", "IPTC:City", "IPTC:Caption-Abstract"),
    "Comment": ("Comment",),
}  # fmt: skip


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def _jpeg(folder: Path) -> Specimen:
    plant = Planter("jpg")
    data = _saved(scene(), "JPEG", exif=exif(plant), icc_profile=profile(plant.mark("profile name", 13)))
    data = with_exiftool(folder, plant, "photo.jpg", data, "EXIF", "XMP", "IPTC", "Comment")

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    jumb = box(b"jumb", box(b"jumd", b"c2pa" + plant.mark("JUMBF (C2PA)").encode()))
    second = _saved(scene().resize((40, 25)), "JPEG", comment=plant.mark("second picture").encode())
    extra = segment(0xEB, b"JP\0\1\0\0\0\1" + jumb)
    extra += segment(0xEC, b"Ducky\0" + plant.mark("unknown segment").encode())
    extra += segment(0xE0, b"JFXX\0\x10" + plant.mark("JFXX thumbnail").encode())
    data = data[:2] + extra + data[2:] + second + plant.mark("trailing bytes").encode()
    return Specimen("photo.jpg", data, plant.places)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(folder: Path) -> Specimen:
    plant = Planter("png")
    data = _saved(scene(), "PNG", exif=exif(plant), icc_profile=profile(plant.mark("profile name", 13)))
    data = with_exiftool(folder, plant, "photo.png", data, "EXIF", "XMP")
    chunks = _chunk(b"tEXt", b"Author\0" + plant.mark("tEXt").encode())
    chunks += _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(plant.mark("zTXt").encode()))
    chunks += _chunk(b"iTXt", b"Title\0\0\0\0\0" + plant.mark("iTXt").encode())
    credentials = _chunk(b"caBX", box(b"jumb", box(b"jumd", b"c2pa" + plant.mark("C2PA").encode())))
    chunks += _chunk(b"prVt", plant.mark("private chunk").encode())
    end = data.rindex(b"IEND") - 4
    data = data[:33] + chunks + data[33:end] + credentials + data[end:] + plant.mark("trailing bytes").encode()
    return Specimen("photo.png", data, plant.places)


def _webp(folder: Path) -> Specimen:
    plant = Planter("webp")
    carrier = _saved(scene(), "JPEG", exif=exif(plant))
    # exiftool does not write WebP: the same blocks as in a JPEG, moved over.
    blocks = Image.open(io.BytesIO(with_exiftool(folder, plant, "web.jpg", carrier, "EXIF", "XMP"))).info
    name = profile(plant.mark("profile name", 13))
    data = _saved(scene(), "WEBP", exif=blocks["exif"], xmp=blocks["xmp"], icc_profile=name)
    for name, place in ((b"C2PA", "C2PA"), (b"prvt", "private chunk")):
        content = plant.mark(place, 24).encode()
        data += name + struct.pack("<I", len(content)) + content
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    return Specimen("photo.webp", data + plant.mark("trailing bytes").encode(), plant.places)


def _gif() -> Specimen:
    plant = Planter("gif")
    frames = [scene().quantize(32), scene().rotate(5).quantize(32)]
    data = _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=200)

    def extension(label: int, content: bytes) -> bytes:
        return bytes([0x21, label]) + content + b"\0"

    def block(content: bytes) -> bytes:
        return bytes([len(content)]) + content

    added = extension(0xFE, block(plant.mark("comment").encode()))
    added += extension(0xFF, block(b"XMP DataXMP") + block(plant.mark("XMP").encode()))
    added += extension(0xFF, block(b"MYAPP 1.0ab") + block(plant.mark("application").encode()))
    added += extension(0x01, block(bytes(12)) + block(plant.mark("plain text").encode()))
    end = data.rindex(b"\x3b")
    return Specimen("drawing.gif", data[:end] + added + b"\x3b" + plant.mark("trailing bytes").encode(), plant.places)


def _tiff(folder: Path) -> Specimen:
    plant = Planter("tif")
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[37724] = plant.mark("Photoshop layers").encode()
    tags.tagtype[37724] = 7
    tags[60606] = plant.mark("private tag")
    tags.tagtype[60606] = 2
    data = _saved(scene(), "TIFF", tiffinfo=tags, icc_profile=profile(plant.mark("profile name", 13)))
    data = with_exiftool(folder, plant, "photo.tif", data, "EXIF", "XMP", "IPTC")
    return Specimen("photo.tif", data + plant.mark("trailing bytes").encode(), plant.places)


def _tiff_pages() -> Specimen:
    plant = Planter("tifp")
    pages = [Image.new("L", (800, 1000), 255) for _ in range(3)]
    described = []
    for number, page in enumerate(pages):
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[270] = plant.mark(f"page {number}")
        ImageDraw.Draw(page).text((50, 50), f"page {number}", fill=0, font_size=40)
        page.encoderinfo = {"tiffinfo": tags}
        described.append(tags)
    data = _saved(pages[0], "TIFF", save_all=True, append_images=pages[1:], tiffinfo=described[0])
    return Specimen("scan.tif", data, plant.places)


def _avif(folder: Path) -> Specimen:
    plant = Planter("avif")
    data = _saved(scene(), "AVIF", exif=exif(plant), icc_profile=profile(plant.mark("profile name", 13)), max_threads=1)
    data = with_exiftool(folder, plant, "photo.avif", data, "EXIF", "XMP")
    data += box(b"uuid", C2PA_UUID + plant.mark("C2PA").encode()) + box(b"free", plant.mark("free box").encode())
    return Specimen("photo.avif", data + plant.mark("trailing bytes").encode(), plant.places)


def _heic(folder: Path, hevc: bytes) -> Specimen:
    plant = Planter("heic")
    plant.note("encoder's SEI", b"x265 (build")
    trak = [b"moov", b"trak", b"mdia", b"minf", b"stbl"]
    config = body(hevc, [*trak, b"stsd", b"hvc1", b"hvcC"])
    picture = body(hevc, [b"mdat"])
    tags = b"\0\0\0\0" + exif(plant).removeprefix(b"Exif\0\0")
    colour = box(b"colr", b"prof" + profile(plant.mark("profile name", 13)))
    size = full(b"ispe", struct.pack(">II", 320, 200))
    properties = box(b"ipco", box(b"hvcC", config) + size + colour)
    associations = full(b"ipma", struct.pack(">IHB3B", 1, 1, 3, 0x81, 2, 3))

    def meta(offset: int) -> bytes:
        items = full(b"infe", struct.pack(">HH4s", 1, 0, b"hvc1") + b"\0", 2)
        items += full(b"infe", struct.pack(">HH4s", 2, 0, b"Exif") + b"\0", 2)
        places = struct.pack(">BBH", 0x44, 0, 2)
        for number, start, length in ((1, offset, len(picture)), (2, offset + len(picture), len(tags))):
            places += struct.pack(">HHHII", number, 0, 1, start, length)
        handler = full(b"hdlr", bytes(4) + b"pict" + bytes(12) + plant.places["handler name"] + b"\0")
        parts = handler + full(b"pitm", struct.pack(">H", 1)) + full(b"iinf", struct.pack(">H", 2) + items)
        parts += full(b"iref", box(b"cdsc", struct.pack(">HHH", 2, 1, 1)))
        return full(b"meta", parts + box(b"iprp", properties + associations) + full(b"iloc", places))

    plant.mark("handler name")
    head = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    start = len(head) + len(meta(0)) + 8
    data = head + meta(start) + box(b"mdat", picture + tags)
    data = with_exiftool(folder, plant, "photo.heic", data, "EXIF", "XMP")
    data += box(b"uuid", C2PA_UUID + plant.mark("C2PA").encode())
    return Specimen("photo.heic", data + plant.mark("trailing bytes").encode(), plant.places)
