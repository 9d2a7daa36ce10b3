"""Rebuilds a PDF from a picture of each page, or returns those pictures.

What cannot be seen on a page is removed: text, hidden layers, scripts, attachments, earlier versions. Form fields and
notes that are drawn on the page become part of its picture. Refuses locked files, more than 100 pages, forms that only
Adobe's programs show, and letters for which there is no font: PDFium would leave those out without an error.
"""

import time
from collections.abc import Iterator, Sequence

import pypdfium2
from PIL import Image

from app.core.errors import FileRefusedError
from app.files.image import encode_image, pages_result
from app.files.metadata_pdf import pdf_metadata_kinds
from app.files.pdf_fonts import EastAsianFont, has_letters_without_font
from app.files.pdf_writer import DPI
from app.files.protocol import MAX_PAGES, OutputFile, WorkerResult

# A page of A4 at 150 dots per inch has 2.2 million pixels; a poster is rendered at fewer dots per inch.
_MAX_PAGE_PIXELS = 4_000_000
_MAX_EMBEDDED_PIXELS = 100_000_000
_POINTS_PER_INCH = 72
_PASSWORD_ERROR = 4
# A file has 30 seconds on the clock, of which starting and metadata take some.
_SECONDS_FOR_PAGES = 25.0
_PAGES_TO_MEASURE = {5, 10, 20, 40}
_NUMBERS_OF_PAGES = (50, 25, 10)
# Before the lock, because afterwards neither a file can be read nor a callback be made.
_FONT = EastAsianFont()
_FONT.setup()


def rebuild_pdf(data: bytes) -> WorkerResult:
    """Return the same pages as a PDF of pictures.

    Raises FileRefusedError "encrypted", "damaged", "too-many-pages", "too-heavy", "form-of-adobe" or "fonts-missing".
    """
    kinds = pdf_metadata_kinds(data)
    return pages_result(_in_time(render_pages(data), _count_pages(data)), kinds)


def _in_time(pages: Iterator[Image.Image], count: int) -> Iterator[Image.Image]:
    """Yield the pages; FileRefusedError, after the first few, once all of them would take longer than there is.

    What is measured is the time of this process, or half the time on the clock where that is longer.
    """
    cpu, clock = time.process_time(), time.monotonic()
    for done, page in enumerate(pages):
        if done in _PAGES_TO_MEASURE:
            # Other programs may have the processor now and not later, so the clock decides only where it is clear.
            seconds_a_page = max(time.process_time() - cpu, (time.monotonic() - clock) / 2) / done
            if seconds_a_page * count > _SECONDS_FOR_PAGES:
                raise FileRefusedError(_code_of_pages(_SECONDS_FOR_PAGES / seconds_a_page))
        yield page


def _code_of_pages(fitting: float) -> str:
    """Return the code of the refusal that names the most pages of at most so many."""
    return next((f"too-slow-{most}-pages" for most in _NUMBERS_OF_PAGES if most <= fitting), "too-slow")


def _count_pages(data: bytes) -> int:
    document = _open_pdf(data)
    try:
        return len(document)
    finally:
        document.close()


def pdf_to_images(data: bytes) -> WorkerResult:
    """Return each page as a picture of its own, in order; raises as `rebuild_pdf` does."""
    return WorkerResult(tuple(OutputFile(*encode_image(page, photograph=False)) for page in render_pages(data)))


def render_pages(data: bytes, pages: Sequence[int] = ()) -> Iterator[Image.Image]:
    """Yield each page, or those numbered (from 0), as an RGB picture at up to 150 dots per inch, one at a time."""
    document = _open_pdf(data)
    if document.get_formtype() == pypdfium2.raw.FORMTYPE_XFA_FULL:
        raise FileRefusedError("form-of-adobe")
    document.init_forms()  # PDFium draws form fields only if this comes before any page
    count = len(document)
    if count > MAX_PAGES:
        raise FileRefusedError("too-many-pages")
    if not count:
        raise FileRefusedError("damaged")
    for number in pages or range(count):
        if number >= count:
            raise FileRefusedError("damaged")
        page = document[number]
        _check_images(page)
        if has_letters_without_font(page, _FONT):
            raise FileRefusedError("fonts-missing")
        width, height = page.get_size()
        pixels = max(width * height * (DPI / _POINTS_PER_INCH) ** 2, 1.0)
        scale = DPI / _POINTS_PER_INCH * min(1.0, (_MAX_PAGE_PIXELS / pixels) ** 0.5)
        yield page.render(scale=scale, rev_byteorder=True).to_pil().convert("RGB")
        page.close()


def _check_images(page: pypdfium2.PdfPage) -> None:
    """Refuse a page with pictures too large for the memory: PDFium would leave them out without an error."""
    for embedded in page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]):
        width, height = embedded.get_px_size()
        if width * height > _MAX_EMBEDDED_PIXELS:
            raise FileRefusedError("too-heavy")


def _open_pdf(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise FileRefusedError("encrypted" if error.err_code == _PASSWORD_ERROR else "damaged") from None
