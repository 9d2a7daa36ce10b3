"""The closed sets that the sandboxed worker and its parent share, and the only bytes that pass between them.

What a cleaned file may be (`Form`), which worker module handles it (`Family`), what may be said about what was
taken out (`Kind`: never a value, only the kind), and why a file may be refused (`REFUSALS`). An answer is a tiny
header of numbers, then the files' bytes; `unpack` trusts none of it.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from app.core.errors import N_, FileRefusedError

MOST_OUT = 28 * 1024 * 1024
MOST_PAGES = 100
MOST_PIXELS = 25_000_000


class Family(StrEnum):
    """The worker's modules, by what they rebuild or do."""

    IMAGE = "image"
    PDF = "pdf"
    MEDIA = "media"
    WAV = "wav"
    MP3 = "mp3"
    DOCUMENT = "document"
    TEXT = "text"
    PAGES = "pages"
    REDACT = "redact"
    PROBE = "probe"


class Form(Enum):
    """What a cleaned file can be: its extension, its media type, and the bytes it must begin with."""

    JPEG = ("jpg", "image/jpeg", 0, b"\xff\xd8\xff")
    PNG = ("png", "image/png", 0, b"\x89PNG\r\n\x1a\n")
    PDF = ("pdf", "application/pdf", 0, b"%PDF-")
    MP4 = ("mp4", "video/mp4", 4, b"ftyp")
    M4A = ("m4a", "audio/mp4", 4, b"ftyp")
    MP3 = ("mp3", "audio/mpeg", 0, b"\xff")
    OGG = ("ogg", "audio/ogg", 0, b"OggS")
    WAV = ("wav", "audio/wav", 0, b"RIFF")
    TEXT = ("txt", "text/plain", 0, b"")

    def __init__(self, extension: str, media_type: str, offset: int, magic: bytes) -> None:
        self.extension = extension
        self.media_type = media_type
        self._offset = offset
        self._magic = magic

    def fits(self, data: bytes) -> bool:
        """Whether bytes can be of this form at all."""
        return data.startswith(self._magic, self._offset)


class Kind(StrEnum):
    """What was taken out, as the sender and the agency are told; the order is that of telling."""

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
    NUMBER = N_("identifying number of the document")
    CREDENTIALS = N_("content credentials")
    MAKER_NOTES = N_("camera maker's notes")
    SETTINGS = N_("camera settings")
    SOFTWARE = N_("name of the software")
    XMP = N_("XMP metadata")
    PROFILE = N_("name of the colour profile")
    COVER = N_("cover picture")
    CHAPTERS = N_("chapters")
    SUBTITLES = N_("subtitles")
    TRACKS = N_("further tracks")
    SENSORS = N_("sensor and position tracks")
    CUT = N_("parts cut from the recording")
    ENCODER = N_("encoder marks")
    TRAILING = N_("data after the end of the file")
    ANIMATION = N_("animation (only the first picture is kept)")
    FURTHER = N_("further pictures")
    SOUND = N_("sound")
    LAYOUT = N_("pictures and layout (only the text is kept)")
    MARKS = N_("invisible characters")
    OTHER = N_("other metadata")


REFUSALS = {
    "empty": N_("This file is empty."),
    "unknown": N_("We cannot take this kind of file. Take a picture of it and add that, or write down what it says."),
    "encrypted": N_("This file is locked with a password. Add a copy without the password."),
    "damaged": N_("This file is damaged or not complete, so it could not be read safely."),
    "too-many-pixels": N_("This picture is larger than 25 megapixels. Add a smaller copy or a screenshot."),
    "too-many-pages": N_("This file has more than 100 pages. Add only the pages that matter."),
    "too-slow": N_("This file took too long to clean. Add a shorter or smaller one."),
    "too-heavy": N_("This file needs too much memory to clean. Add a smaller one."),
    "too-large": N_("This file no longer fits once it is cleaned. Add fewer or smaller files."),
    "no-time": N_("There was no time left for this file. Add fewer files at once."),
    "too-many-files": N_("These are too many files. Add at most 10."),
    "too-many-bytes": N_("These files are larger than 25 MB together. Add fewer or smaller ones."),
    "no-sandbox": N_("We cannot clean files safely just now. Send your report without files."),
}

FIRST_EXIT = 40
EXITS = {code: FIRST_EXIT + place for place, code in enumerate(REFUSALS)}

_FORMS = tuple(Form)
_KINDS = tuple(Kind)
_HEAD = struct.Struct("<4sHQ")
_ITEM = struct.Struct("<BI")
_MAGIC = b"HMR1"


@dataclass(frozen=True)
class Made:
    """One rebuilt file as it leaves the worker."""

    form: Form
    data: bytes


@dataclass(frozen=True)
class Answer:
    """All that a worker says: the files it made, and the kinds of what they no longer hold."""

    files: tuple[Made, ...]
    kinds: frozenset[Kind] = frozenset()

    def removed(self) -> tuple[str, ...]:
        """The kinds in the order of telling."""
        return tuple(str(kind) for kind in _KINDS if kind in self.kinds)


def one(form: Form, data: bytes, kinds: Iterable[Kind] = ()) -> Answer:
    """The answer of a worker that made a single file."""
    return Answer((Made(form, data),), frozenset(kinds))


def pack(answer: Answer) -> Sequence[bytes]:
    """The parts of an answer for the pipe, in order: header, one item a file, then the files' bytes."""
    mask = sum(1 << place for place, kind in enumerate(_KINDS) if kind in answer.kinds)
    items = [_ITEM.pack(_FORMS.index(made.form), len(made.data)) for made in answer.files]
    head = _HEAD.pack(_MAGIC, len(answer.files), mask) + b"".join(items)
    return [head, *(made.data for made in answer.files)]


def unpack(untrusted_answer: bytes, *, most_files: int = 1) -> Answer:
    """Check an answer in every number and every first byte; FileRefusedError("damaged") if anything is off."""
    try:
        magic, count, mask = _HEAD.unpack_from(untrusted_answer)
        items = [_ITEM.unpack_from(untrusted_answer, _HEAD.size + place * _ITEM.size) for place in range(count)]
    except struct.error:
        raise FileRefusedError("damaged") from None
    offset = _HEAD.size + count * _ITEM.size
    total = sum(size for _, size in items)
    if (
        magic != _MAGIC
        or not 1 <= count <= most_files
        or mask >> len(_KINDS)
        or offset + total != len(untrusted_answer)
    ):
        raise FileRefusedError("damaged")
    files = []
    for form_number, size in items:
        data = untrusted_answer[offset : offset + size]
        offset += size
        if not size or form_number >= len(_FORMS) or not _FORMS[form_number].fits(data):
            raise FileRefusedError("damaged")
        files.append(Made(_FORMS[form_number], data))
    return Answer(tuple(files), frozenset(kind for place, kind in enumerate(_KINDS) if mask >> place & 1))
