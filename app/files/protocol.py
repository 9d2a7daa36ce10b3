"""What the sandboxed worker and its parent share: closed sets of values, and the bytes that pass between them.

The sets are what a worker is asked to do (`Task`), what a cleaned file may be (`OutputFormat`), what may be said about
the parts that were removed (`RemovedKind`: never a value, only the kind), and why a file may be refused (`REFUSALS`).
A result is the files' bytes, the preview, then the numbers, so that a file can be taken from the front of the buffer
without a copy.
`unpack_result` trusts none of the bytes and refuses a result that is wrong in any number.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from io import BytesIO

from app.core.errors import N_, FileRefusedError

MAX_OUTPUT_BYTES = 128 * 1024 * 1024
MAX_PAGES = 100
MAX_IMAGE_PIXELS = 200_000_000
MAX_PREVIEW_BYTES = 6_000
MAX_PREVIEW_SIDE = 160
MAX_COVER_BYTES = 60_000
MAX_UNPACKED = 10
MAX_UNPACKED_BYTES = 40_000_000

Box = tuple[float, float, float, float]
"""An area to black out: left, top, right and bottom in fractions (0 to 1) of a page's width and height."""


class Task(StrEnum):
    """What a worker is asked to do; each task loads its own codecs, and PROBE only tests the sandbox."""

    IMAGE = "image"
    PDF = "pdf"
    MEDIA = "media"
    WAV = "wav"
    MP3 = "mp3"
    DOCUMENT = "document"
    TEXT = "text"
    PAGES = "pages"
    REDACT = "redact"
    COVER = "cover"
    BLUR = "blur"
    ENCODE = "encode"
    VOICE = "voice"
    UNPACK = "unpack"
    PROBE = "probe"


class Voice(StrEnum):
    """How a voice is masked: lower, or without a pitch."""

    LOWER = "lower"
    WHISPER = "whisper"


class OutputFormat(Enum):
    """What a cleaned file can be: its extension, its media type, and the bytes that must stand at an offset."""

    JPEG = ("jpg", "image/jpeg", 0, b"\xff\xd8\xff")
    PNG = ("png", "image/png", 0, b"\x89PNG\r\n\x1a\n")
    PDF = ("pdf", "application/pdf", 0, b"%PDF-")
    MP4 = ("mp4", "video/mp4", 4, b"ftyp")
    M4A = ("m4a", "audio/mp4", 4, b"ftyp")
    MP3 = ("mp3", "audio/mpeg", 0, b"\xff")
    OGG = ("ogg", "audio/ogg", 0, b"OggS")
    WAV = ("wav", "audio/wav", 0, b"RIFF")
    TEXT = ("txt", "text/plain", 0, b"")
    RAW = ("raw", "application/octet-stream", 0, b"")  # a file of a ZIP, not yet cleaned: never sent

    def __init__(self, extension: str, media_type: str, offset: int, magic: bytes) -> None:
        self.extension = extension
        self.media_type = media_type
        self._offset = offset
        self._magic = magic

    def matches(self, data: bytes) -> bool:
        """Return whether the data has this format's magic number."""
        return data.startswith(self._magic, self._offset)


class RemovedKind(StrEnum):
    """What was removed from a file, in the order in which the sender and the agency read it."""

    GPS = N_("GPS position")
    AUTHOR = N_("author name")
    SERIAL = N_("camera serial number")
    CAMERA = N_("camera make and model")
    DATE = N_("date and time taken")
    THUMBNAIL = N_("thumbnail")
    COMMENTS = N_("comments")
    TITLE = N_("title and description")
    KEYWORDS = N_("caption and keywords")
    HISTORY = N_("edit history")
    DELETED = N_("deleted text")
    EMBEDDED = N_("embedded files")
    JAVASCRIPT = N_("JavaScript")
    LAYERS = N_("hidden layers")
    INVISIBLE = N_("invisible text")
    HIDDEN = N_("hidden sheets, rows and columns")
    FORMS = N_("form fields")
    NOTES = N_("notes and links")
    NUMBER = N_("ID number of the document")
    CREDENTIALS = N_("record of where the file came from (content credentials)")
    MAKER_NOTES = N_("camera maker's notes")
    SETTINGS = N_("camera settings")
    SOFTWARE = N_("name of the software")
    XMP = N_("hidden information (XMP)")
    PROFILE = N_("name of the colour profile")
    COVER = N_("cover picture")
    CHAPTERS = N_("chapters")
    SUBTITLES = N_("subtitles")
    TRACKS = N_("other tracks")
    SENSORS = N_("records of movement and place")
    CUT = N_("parts cut from the recording")
    ENCODER = N_("marks of the program that made the file")
    TRAILING = N_("data after the end of the file")
    ANIMATION = N_("animation (only the first picture is kept)")
    FURTHER = N_("other pictures")
    SOUND = N_("sound")
    LAYOUT = N_("pictures and layout (only the text is kept)")
    MARKS = N_("invisible characters")
    OTHER = N_("other hidden information")
    SHORT_FILM = N_("the short film inside it")
    FINE_DETAIL = N_("fine detail (the picture was made smaller)")
    MISSING_END = N_("the end of the picture (it was missing from the file)")
    FACES = N_("faces (blurred)")
    DAMAGED_PARTS = N_("parts of the recording (they were damaged or missing)")
    ARRANGEMENT = N_("layout (the words and the pictures are sent as files of their own)")


REFUSALS = {
    "empty": N_("This file is empty."),
    "unknown": N_(
        "We cannot accept this kind of file. "
        "Take a picture of the file and add the picture, or write down what the file says."
    ),
    "encrypted": N_("This file is locked with a password. Add a copy that has no password."),
    "damaged": N_("This file is damaged or not complete, so we could not read the file safely."),
    "too-many-pixels": N_("This picture is larger than 200 megapixels. Add a smaller copy or a screenshot."),
    "too-many-pages": N_("This file has more than 100 pages. Add only the pages that matter."),
    "too-slow": N_("This file took too long to clean. Add a shorter or smaller file."),
    "too-heavy": N_("This file needs too much memory to clean. Add a smaller file."),
    "too-large": N_("This file is too big after cleaning. Add fewer or smaller files."),
    "no-time": N_("There was no time left for this file. Add fewer files at the same time."),
    "too-many-files": N_("You added too many files. Add 10 files or fewer."),
    "too-many-bytes": N_("Your report is too big, so nothing was sent. Send fewer or smaller files, or less text."),
    "no-sandbox": N_("We cannot clean files safely at the moment. Please send your report without files."),
    "too-long-15": N_("This recording is too long to clean. Cut it to 15 seconds, and add the parts that matter."),
    "too-long-60": N_("This recording is too long to clean. Cut it to 1 minute, and add the parts that matter."),
    "too-long-180": N_("This recording is too long to clean. Cut it to 3 minutes, and add the parts that matter."),
    "too-long-600": N_("This recording is too long to clean. Cut it to 10 minutes, and add the parts that matter."),
    "form-of-adobe": N_("Only Adobe's programs can show this form. Print it to a PDF there, and add that."),
    "fonts-missing": N_(
        "Letters of this PDF would be lost, because their font is not inside it. Take a picture of it and add that."
    ),
    "raw-photo": N_("This is a raw photo without a full picture inside. Save it as JPEG and add that."),
    "too-slow-10-pages": N_("These pages take too long to clean. Add at most 10 pages at once."),
    "too-slow-25-pages": N_("These pages take too long to clean. Add at most 25 pages at once."),
    "too-slow-50-pages": N_("These pages take too long to clean. Add at most 50 pages at once."),
    "no-faces": N_("No face was found in this picture. Cover the parts that nobody should see."),
    "mail": N_(
        "This is an email, which names its writer and readers. Take a picture of the words and add the picture."
    ),
    "card": N_("This is a contact or a calendar entry, with parts that are not shown. Write down what matters."),
    "markup": N_("This is a web page or a drawing, with parts that are not shown. Take a picture and add the picture."),
    "save-as-pdf": N_("We cannot accept this kind of document. Save it as a PDF file and add the PDF file."),
    "inside-text": N_("This text holds another file or a code. Add the other file alone, or a picture of the text."),
    "encoding": N_(
        "We cannot tell which letters this text uses. Save the text as UTF-8, or add a picture of the text."
    ),
    "archive": N_("This is a folder of files in one file. Open the ZIP file, and add the files from it one by one."),
    "archive-rest": N_("Files in this ZIP file that we did not add: %(count)s. If they matter, add them one by one."),
    "pictures-rest": N_(
        "Pictures in this document that we did not add: %(count)s. "
        "Save the document as a PDF file and add the PDF file."
    ),
}

# How many seconds of a recording would fit, by the code of its refusal.
TOO_LONG_SECONDS = {code: int(code.removeprefix("too-long-")) for code in REFUSALS if code.startswith("too-long-")}
MUST_ENCODE = "must-encode"
"""The code of a recording that cannot be copied safely and has to be encoded anew; never shown to a person."""

# Clear of the exit codes that Python (1, 2) and shells (126 and above) use.
_FIRST_EXIT_CODE = 40
EXIT_CODES = {code: _FIRST_EXIT_CODE + place for place, code in enumerate((MUST_ENCODE, *REFUSALS))}

_OUTPUT_FORMATS = tuple(OutputFormat)
_REMOVED_KINDS = tuple(RemovedKind)
_MAGIC = b"HMR2"
_FEW_BYTES, _SOME_BYTES, _TEXT_RATIO = 2_000_000, 16_000_000, 8
_MAX_ARCHIVE_BYTES = 48_000_000
# The magic number, the number of files, their pages, how many were left out, the length of the preview, one bit for
# each kind that was removed.
_TRAILER = struct.Struct("<4sHHHHQ")
# A file's format and its length in bytes.
_FILE_ENTRY = struct.Struct("<BI")
# A preview is a plain JPEG: a JFIF header of this length, tables, one frame, one scan (ITU-T T.81, B.1; T.871, 10.1).
_JFIF_START = b"\xff\xd8\xff\xe0\0\x10JFIF\0"
_JFIF_LENGTH, _JPEG_END = 20, b"\xff\xd9"
_JPEG_SEGMENT = struct.Struct(">BBH")
# Precision, height and width, at the start of a frame's header.
_JPEG_FRAME = struct.Struct(">BHH")
_JPEG_MARKER = re.compile(rb"\xff[^\x00]", re.DOTALL)
_FRAME, _TABLES, _SCAN, _MARKER_START = 0xC0, {0xDB, 0xC4}, 0xDA, 0xFF


@dataclass(frozen=True)
class OutputFile:
    """One rebuilt file."""

    format: OutputFormat
    data: bytes


@dataclass(frozen=True)
class WorkerResult:
    """All that a worker returns: the rebuilt files, and the kinds of what was removed.

    Of one file it may hold also a preview, a small JPEG, and the number of pages, which is 1 for a picture.
    `left_out` is how many files of a ZIP or pictures of a document were not taken out of it.
    """

    files: tuple[OutputFile, ...]
    kinds: frozenset[RemovedKind] = frozenset()
    preview: bytes = b""
    pages: int = 0
    left_out: int = 0

    def removed(self) -> tuple[str, ...]:
        """Return the names of the removed kinds in the order of `RemovedKind`."""
        return tuple(str(kind) for kind in _REMOVED_KINDS if kind in self.kinds)


def single_file_result(
    output_format: OutputFormat, data: bytes, kinds: Iterable[RemovedKind] = (), *, preview: bytes = b"", pages: int = 0
) -> WorkerResult:
    """Return the result of a worker that made one file."""
    return WorkerResult((OutputFile(output_format, data),), frozenset(kinds), preview, pages)


def pack_result(result: WorkerResult) -> Sequence[bytes]:
    """Return a result as chunks for the pipe: each file's bytes, the preview, one entry a file, then the numbers."""
    mask = sum(1 << place for place, kind in enumerate(_REMOVED_KINDS) if kind in result.kinds)
    entries = [_FILE_ENTRY.pack(_OUTPUT_FORMATS.index(file.format), len(file.data)) for file in result.files]
    trailer = _TRAILER.pack(_MAGIC, len(result.files), result.pages, result.left_out, len(result.preview), mask)
    return [*(file.data for file in result.files), result.preview, *entries, trailer]


def unpack_result(untrusted_result: BytesIO, *, most_files: int = 1) -> WorkerResult:
    """Return a worker's result once every number and every magic number in the bytes is checked.

    The buffer is used up; of a result with one file nothing is copied. Raises FileRefusedError("damaged") if anything
    is wrong, or if there are more than `most_files` files.
    """
    entries, result = _read_trailer(untrusted_result, most_files)
    untrusted_result.truncate(sum(size for _, size in entries))
    data, at = untrusted_result.getvalue(), 0
    files = []
    for number, size in entries:
        piece = data if len(entries) == 1 else data[at : at + size]
        at += size
        if not size or number >= len(_OUTPUT_FORMATS) or not _OUTPUT_FORMATS[number].matches(piece):
            raise FileRefusedError("damaged")
        files.append(OutputFile(_OUTPUT_FORMATS[number], piece))
    return replace(result, files=tuple(files))


def is_preview(data: bytes) -> bool:
    """Return whether the data is a JPEG of at most 6,000 bytes and 160 pixels a side that holds nothing but pixels.

    The frame and the scan must stand once each, and no segment may hold a comment or metadata (ITU-T T.81, B.1).
    """
    if len(data) > MAX_PREVIEW_BYTES or not data.startswith(_JFIF_START) or not data.endswith(_JPEG_END):
        return False
    at, frames = _JFIF_LENGTH, 0
    while at + _JPEG_SEGMENT.size + _JPEG_FRAME.size <= len(data):
        start, marker, length = _JPEG_SEGMENT.unpack_from(data, at)
        if start != _MARKER_START:
            return False
        if marker == _FRAME:
            frames += 1
            _, height, width = _JPEG_FRAME.unpack_from(data, at + _JPEG_SEGMENT.size)
            if not 0 < max(width, height) <= MAX_PREVIEW_SIDE:
                return False
        elif marker == _SCAN:
            return frames == 1 and _JPEG_MARKER.search(data, at + 2 + length, len(data) - 2) is None
        elif marker not in _TABLES:
            return False
        at += 2 + length
    return False


def _read_trailer(result: BytesIO, most_files: int) -> tuple[list[tuple[int, int]], WorkerResult]:
    """Return format and size of each file, and the result without its files."""
    with result.getbuffer() as raw:
        start = len(raw) - _TRAILER.size
        if start < 0:
            raise FileRefusedError("damaged")
        magic, count, pages, left_out, preview_length, mask = _TRAILER.unpack_from(raw, start)
        length = start - count * _FILE_ENTRY.size
        if magic != _MAGIC or not 1 <= count <= most_files or mask >> len(_REMOVED_KINDS) or length < 0:
            raise FileRefusedError("damaged")
        entries = [_FILE_ENTRY.unpack_from(raw, length + place * _FILE_ENTRY.size) for place in range(count)]
        files_end = sum(size for _, size in entries)
        if files_end + preview_length != length:
            raise FileRefusedError("damaged")
        preview = bytes(raw[files_end:length])
    if pages > MAX_PAGES or (preview and (count > 1 or not is_preview(preview))):
        raise FileRefusedError("damaged")
    kinds = frozenset(kind for place, kind in enumerate(_REMOVED_KINDS) if mask >> place & 1)
    return entries, WorkerResult((), kinds, preview, pages, left_out)


def most_unpacked(length: int) -> int:
    """Return how many bytes are taken out of a ZIP or a document of so many bytes; 0 for one too long to be opened."""
    if length > _MAX_ARCHIVE_BYTES:
        return 0
    return min(MAX_UNPACKED_BYTES, max(_FEW_BYTES, min(_TEXT_RATIO * length, _SOME_BYTES), length * 5 // 4))


def too_long_code(seconds: float) -> str:
    """Return the code of the refusal that names the longest length of at most so many seconds, or "too-slow"."""
    return next((code for code, most in reversed(TOO_LONG_SECONDS.items()) if most <= seconds), "too-slow")
