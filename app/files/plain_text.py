"""Rebuilds a text file: words that a reader sees, in UTF-8, and nothing that a program would unpack.

Plain text is what is left when every other family is ruled out, wherever in the text it begins: mail, calendars and
visiting cards, markup, documents and programs in letters, and bytes written as letters (base64, hexadecimal). Each has
a refusal of its own, for such files name their writer in places that nobody looks at.
Sources: RFC 5322, RFC 2045, RFC 2397, RFC 4155, RFC 5545, RFC 6350, RFC 7468.
"""

import re
from typing import Final

from app.core.errors import FileRefusedError
from app.core.unicode import clean_document_text, has_hidden_characters
from app.files.encoding import decode_text, load_models
from app.files.protocol import OutputFormat, RemovedKind, WorkerResult, single_file_result

# A blank line and such marks may stand before anything.
_BLANKS: Final = re.compile("[\\s\0\ufeff\ufffe\u200b\u2060]*")
# Fields that only mail programs write, and only with such values.
_MAIL_FIELD: Final = re.compile(
    r"^(?:received: *(?:from|by)\b|message-id: *<|mime-version: *\d|content-transfer-encoding: *\w"
    r"|content-type: *\w+/\w|content-disposition: *(?:inline|attachment)|return-path: *<|delivered-to: *\S+@"
    r"|dkim-signature: *\w+="
    r"|content-disposition: *(?:inline|attachment)|return-path: *<"
    r"|delivered-to: *\S+@|dkim-signature: *\w+="
    r"|arc-seal: *\w+=|authentication-results: *\S|x-(?:mailer|originating-ip|received|priority|sender|ms-|google-)\S*:"
    r"|thread-index: *\S|in-reply-to: *<|references: *<|from \S{1,100}@\S{1,200} .{0,100}\d{4}$)",
    re.IGNORECASE | re.MULTILINE,
)
_MAIL_HEAD: Final = re.compile(r"(?:from|to|cc|bcc|subject|date|sent|sender|reply-to): ?", re.IGNORECASE)
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}:|[ \t]")
_FEWEST_MAIL_FIELDS: Final = 3
_CARD: Final = re.compile(r"^[ \t]*BEGIN: *V[A-Z]+|^BEGIN:[A-Z]{4,}$", re.IGNORECASE | re.MULTILINE)
_TAG_AT_START: Final = re.compile(r"<[!?/%]?[A-Za-z-]")
_TAG: Final = re.compile(
    r"<(?:!doctype|!--|!\[cdata|\?xml|\?xpacket|/?(?:html|head|body|svg|script|style|meta|img|iframe|object|embed|link|form"
    r"|div|span|table|rss|feed|gpx|kml|plist|smil|math|metadata|template|video|audio|font)(?=[\s>/])"
    r"|/?[a-z][a-z0-9]{0,19}:[a-z][\w-]{0,39}(?=[\s>/]))",
    re.IGNORECASE,
)
# Documents that are written in letters, and what may stand before them: nothing, or comments.
_DOCUMENT: Final = re.compile(r"\{\\rtf|\{\\\*\\|^%!PS|^%PDF-\d|^\\documentclass|^\x0c?%%BoundingBox", re.MULTILINE)
# The beginnings of uuencode, yEnc and PEM, Ascii85, and bytes in hexadecimal with marks between them.
_BYTES_AS_LETTERS: Final = re.compile(
    r"^begin(?:-base64)? [0-7]{3,4} \S|^=ybegin |-----BEGIN [A-Z0-9 ]{1,60}-----|<~[!-u]{80}"
    r"|(?:[0-9A-Fa-f]{2}[ :,]){64}",
    re.MULTILINE,
)
# Base64 and hexadecimal: rows of this length, with nothing but blanks between them, of so many letters in all.
_ROW: Final = re.compile("[A-Za-z0-9+/_-]{40,}=*")
_BETWEEN_ROWS: Final = re.compile(r"[\s>=]{0,80}")
_LONGEST_CODE, _FEWEST_DIFFERENT = 160, 10
_DATA_ADDRESS: Final = re.compile(
    r"\bdata:(?:[a-z]+/[\w.+-]+)?(?:;[\w=.-]+)*(?:;base64)?,\S{16}|;base64,", re.IGNORECASE
)


def prepare() -> None:
    """Load what decoding reads from files, before the sandbox is locked."""
    load_models()


def rebuild_text(data: bytes) -> WorkerResult:
    """Return the text as UTF-8 without control or invisible characters.

    Raises FileRefusedError "empty", "unknown", "encoding", or one of `require_plain_text`.
    """
    text = decode_text(data)
    require_plain_text(text)
    plain = clean_document_text(text)
    if not plain.strip():
        raise FileRefusedError("empty")
    require_plain_text(plain)  # invisible characters may have stood within what the text is known by
    kinds = {RemovedKind.MARKS} if has_hidden_characters(text) else ()
    return single_file_result(OutputFormat.TEXT, plain.encode(), kinds)


def require_plain_text(text: str) -> None:
    """Raise FileRefusedError "mail", "card", "markup", "save-as-pdf" or "inside-text" for text that is not plain."""
    start = _BLANKS.sub("", text, count=1)
    if _MAIL_FIELD.search(text) or _has_mail_fields(text):
        raise FileRefusedError("mail")
    if _CARD.search(text):
        raise FileRefusedError("card")
    if _DOCUMENT.search(text):
        raise FileRefusedError("save-as-pdf")
    if _TAG_AT_START.match(start) or _TAG.search(text):
        raise FileRefusedError("markup")
    if _DATA_ADDRESS.search(text) or _BYTES_AS_LETTERS.search(text) or _has_long_code(text):
        raise FileRefusedError("inside-text")


def _has_mail_fields(text: str) -> bool:
    """Return whether three of a mail's fields (From, To, Subject, Date …) stand with no line of words among them."""
    fields = 0
    for line in text.splitlines():
        if _MAIL_HEAD.match(line):
            fields += 1
        elif not _FIELD.match(line):
            fields = 0
        if fields >= _FEWEST_MAIL_FIELDS:
            return True
    return False


def _has_long_code(text: str) -> bool:
    """Return whether rows of letters and digits without blanks follow one another, as no language writes them."""
    length, end = 0, 0
    for row in _ROW.finditer(text):
        if len(set(row[0])) < _FEWEST_DIFFERENT:  # a line of dashes
            continue
        follows = _BETWEEN_ROWS.fullmatch(text, end, row.start())
        length = row.end() - row.start() + (length if follows else 0)
        if length >= _LONGEST_CODE:
            return True
        end = row.end()
    return False
