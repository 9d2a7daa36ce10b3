"""Rows about the files of a tip, as their sender sees them: what each became, or why it was refused.

The rows travel in the page, signed under the draft of the held tip, so that a later step shows what happened to the
files and nothing that somebody made up. A sender's own name for a file stays in that sender's page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from itsdangerous import BadData, URLSafeSerializer

from app.core.unicode import clean_text
from app.files.clean import CleanedFile, RefusedFile
from app.site.report.held_files import HeldFile, file_number

_FILE_NAME_SHOWN = 60  # characters


@dataclass(frozen=True)
class FileRow:
    """One file as its sender sees it: their name for it, and either what it became or the code of its refusal."""

    name: str
    path: str = ""
    type: str = ""
    size: int = 0  # bytes
    removed: tuple[str, ...] = ()
    refused: str = ""
    count: int = 1  # of the files that the refusal is about
    file: HeldFile | None = None

    def as_shown(self) -> dict[str, object]:
        """Return what travels in the page."""
        names = ("name", "path", "type", "size", "removed", "refused", "count")
        return {name: getattr(self, name) for name in names}

    def with_file(self, files: Mapping[int, HeldFile]) -> "FileRow":
        """Return the row with what is held of the file now, which may have been changed; `files` are by number."""
        file = files.get(file_number(self.path)) if self.path else None
        if file is None:
            return self
        return replace(self, path=file.path, type=file.type, size=file.size, removed=file.removed, file=file)


def file_rows(results: Sequence[CleanedFile | RefusedFile], untrusted_names: Sequence[str]) -> tuple[FileRow, ...]:
    """Return a row for each file, in the order in which its sender chose them.

    Of several files in one upload each has the upload's name and its number among them.
    """
    names = [clean_text(name[: 2 * _FILE_NAME_SHOWN]).replace("\n", " ")[:_FILE_NAME_SHOWN] for name in untrusted_names]
    uploads = [result.upload or number for number, result in enumerate(results, 1)]
    rows = []
    for place, (upload, result) in enumerate(zip(uploads, results, strict=True)):
        name = names[upload - 1]
        if name and uploads.count(upload) > 1:
            name = f"{name} ({uploads[: place + 1].count(upload)})"
        if isinstance(result, RefusedFile):
            rows.append(FileRow(name, refused=result.code, count=result.count))
        else:
            rows.append(FileRow(name, result.path, result.type, len(result.data), result.removed))
    return tuple(rows)


def read_shown(untrusted_text: str, draft: bytes, secret: bytes) -> tuple[tuple[FileRow, ...], int]:
    """Return the rows and the end of a held tip that this site signed for a draft; no rows and 0 where it did not."""
    try:
        shown = _row_serializer(draft, secret).loads(untrusted_text)
        rows = tuple(FileRow(**{**row, "removed": tuple(row["removed"])}) for row in shown["rows"])
        return rows, int(shown["held_until"])
    except (BadData, TypeError, KeyError):
        return (), 0


def write_shown(rows: Sequence[FileRow], held_until: int, draft: bytes, secret: bytes) -> str:
    """Return the rows and the end of a held tip as signed text for its page."""
    return _row_serializer(draft, secret).dumps({"rows": [row.as_shown() for row in rows], "held_until": held_until})


def _row_serializer(draft: bytes, secret: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt=b"haumaru/files/2" + draft, signer_kwargs={"digest_method": sha256})
