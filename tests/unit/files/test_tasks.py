"""The worker's tasks outside the sandbox: the sandbox takes away what a task may do, and changes no result."""

import pytest

from app.files.clean import CleanedFile, RefusedFile, clean_files, pdf_page_images, redact_file
from tests.corpus import bombs
from tests.corpus.make import NAMES

# A decoder's warnings stop no child either.
pytestmark = [pytest.mark.needs("exiftool"), pytest.mark.filterwarnings("ignore")]
# What ends by the sandbox's own limits of memory and time needs the sandbox.
BY_LIMIT = {"too-heavy", "too-slow"}
REFUSED = {name: bad for name, bad in bombs.refused().items() if not bad.codes & BY_LIMIT}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("no_sandbox")
def test_a_file_comes_out_the_same(specimens, cleaned, name):
    """A specimen that is cleaned in this process has the type, the traces and the bytes of one from the sandbox."""
    assert clean_files([specimens[name].data]) == (cleaned[name],)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.usefixtures("no_sandbox")
def test_a_bad_file_is_refused_for_the_same_reason(name):
    """A bad file is refused in this process with one of the codes that it gets from the sandbox."""
    (result,) = clean_files([REFUSED[name].make()])
    assert isinstance(result, RefusedFile), result
    assert result.code in REFUSED[name].codes


@pytest.mark.parametrize("name", ["photo.jpg", "letter.pdf"])
def test_redaction_comes_out_the_same(specimens, cleaned, name, request):
    """Black boxes and page images of a cleaned file have the same bytes in this process and from the sandbox."""

    def results() -> tuple[CleanedFile, ...]:
        data = cleaned[name].data
        pages = pdf_page_images(data) if name.endswith("pdf") else ()
        return (redact_file(data, {0: [(0.1, 0.1, 0.5, 0.5)]}), *pages)

    from_the_sandbox = results()
    request.getfixturevalue("no_sandbox")
    assert results() == from_the_sandbox
