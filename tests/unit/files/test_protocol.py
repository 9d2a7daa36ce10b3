"""What passes between worker and parent: results and boxes."""

from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import FileRefusedError
from app.files.protocol import (
    OutputFile,
    OutputFormat,
    RemovedKind,
    WorkerResult,
    pack_result,
    unpack_result,
)
from app.files.questions import pack_boxes, unpack_boxes


def test_a_result_is_read_back():
    """The parent unpacks what the worker packs, and names the removed kinds in their order."""
    files = (OutputFile(OutputFormat.TEXT, b"a"), OutputFile(OutputFormat.JPEG, b"\xff\xd8\xffb"))
    result = WorkerResult(files, frozenset({RemovedKind.OTHER, RemovedKind.GPS}))
    assert unpack_result(BytesIO(b"".join(pack_result(result))), most_files=2) == result
    assert result.removed() == ("GPS position", "other hidden information")


@given(st.data())
def test_a_changed_result_is_valid_or_refused(data):
    """Whatever a taken-over worker writes is a result right in every number, or is refused."""
    file = OutputFile(OutputFormat.PNG, b"\x89PNG\r\n\x1a\nx")
    raw = b"".join(pack_result(WorkerResult((file,), frozenset({RemovedKind.GPS}))))
    place = data.draw(st.integers(0, len(raw)))
    wrong = raw[:place] + data.draw(st.binary(max_size=12)) + raw[data.draw(st.integers(place, len(raw))) :]
    with suppress(FileRefusedError):
        (file,) = unpack_result(BytesIO(wrong)).files
        assert file.format.matches(file.data)


def test_a_file_without_its_format_s_magic_number_is_refused():
    """A text that a worker declares as a video is refused."""
    raw = b"".join(pack_result(WorkerResult((OutputFile(OutputFormat.MP4, b"not a video"),))))
    with pytest.raises(FileRefusedError, match="damaged"):
        unpack_result(BytesIO(raw))


def test_boxes_come_before_the_file():
    """The worker reads back the boxes of every page and the file behind them."""
    boxes = {0: [(0.0, 0.25, 0.5, 1.0)], 7: [(0.5, 0.5, 0.75, 0.75), (0.0, 0.0, 1.0, 1.0)]}
    assert unpack_boxes(pack_boxes(b"%PDF-", boxes)) == (boxes, b"%PDF-")
