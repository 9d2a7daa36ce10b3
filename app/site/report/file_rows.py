"""What the page says of each attached file, carried in the page itself: the server keeps none of it.

The rows travel signed, so that a later step shows what really happened and nothing that somebody made up.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

from itsdangerous import BadData, URLSafeSerializer

from app.core.unicode import clean_text
from app.files.clean import CleanedFile, RefusedFile

_NAME_SHOWN = 60


@dataclass(frozen=True)
class FileRow:
    """One file as shown: what its sender calls it, and either what it became or why it was refused."""

    name: str
    path: str
    type: str
    size: int
    removed: tuple[str, ...]
    refused: str


def rows_of(results: Sequence[CleanedFile | RefusedFile], untrusted_names: Sequence[str]) -> tuple[FileRow, ...]:
    """A row for each file in the order in which they were chosen; `size` in bytes."""
    return tuple(_row(result, name) for result, name in zip(results, untrusted_names, strict=True))


def _row(result: CleanedFile | RefusedFile, untrusted_name: str) -> FileRow:
    name = clean_text(untrusted_name).replace("\n", " ")[:_NAME_SHOWN]
    if isinstance(result, RefusedFile):
        return FileRow(name, "", "", 0, (), result.code)
    return FileRow(name, result.path, result.type, len(result.data), result.removed, "")


def sign_rows(rows: Sequence[FileRow], secret: bytes) -> str:
    """The rows as text for a hidden field."""
    return _serializer(secret).dumps([asdict(row) for row in rows])


def read_rows(untrusted_text: str, secret: bytes) -> tuple[FileRow, ...]:
    """The rows that this site signed; none where it did not."""
    try:
        rows = _serializer(secret).loads(untrusted_text)
        return tuple(FileRow(**{**row, "removed": tuple(row["removed"])}) for row in rows)
    except (BadData, TypeError, KeyError):
        return ()


def _serializer(secret: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt="haumaru/files/1", signer_kwargs={"digest_method": sha256})
