"""A PDF rebuilt from a picture of each page, or turned into those pictures.

What cannot be seen on a page is gone: text, layers switched off, scripts, attachments, earlier versions. Filled-in
form fields and notes drawn on the page are pictures too. Refuses locked files and more than 100 pages.
"""

from collections.abc import Iterator

import pypdfium2
from PIL import Image

from app.core.errors import FileRefusedError
from app.files.image import encode
from app.files.metadata_pdf import in_pdf
from app.files.pdf_writer import DPI, bind
from app.files.protocol import MOST_PAGES, MOST_PIXELS, Answer, Form, Made, one

# A page of A4 at 150 dots per inch has 2.2 million pixels; a poster is drawn smaller, a stamp as it is.
_MOST_PAGE_PIXELS = 4_000_000
_MOST_PICTURE_PIXELS = 4 * MOST_PIXELS
_POINTS = 72
_ERR_PASSWORD = 4


def rebuild(data: bytes) -> Answer:
    """The same pages as a PDF of pictures; FileRefusedError "encrypted", "damaged" or "too-many-pages"."""
    return one(Form.PDF, bind(pictures(data)), in_pdf(data))


def as_images(data: bytes) -> Answer:
    """Each page as a picture of its own, in order."""
    return Answer(tuple(Made(*encode(page, photograph=False)) for page in pictures(data)))


def pictures(data: bytes) -> Iterator[Image.Image]:
    """The pages one after another as RGB pictures, so that only one is in memory."""
    document = _open(data)
    document.init_forms()  # before anything else, or fields stay blank
    count = len(document)
    if count > MOST_PAGES:
        raise FileRefusedError("too-many-pages")
    if not count:
        raise FileRefusedError("damaged")
    for number in range(count):
        page = document[number]
        _weigh(page)
        width, height = page.get_size()
        pixels = max(width * height * (DPI / _POINTS) ** 2, 1.0)
        scale = DPI / _POINTS * min(1.0, (_MOST_PAGE_PIXELS / pixels) ** 0.5)
        yield page.render(scale=scale, rev_byteorder=True).to_pil().convert("RGB")
        page.close()


def _weigh(page: pypdfium2.PdfPage) -> None:
    """Refuse a page whose pictures PDFium might have to leave out for want of memory: it would not say so."""
    for picture in page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]):
        width, height = picture.get_px_size()
        if width * height > _MOST_PICTURE_PIXELS:
            raise FileRefusedError("too-heavy")


def _open(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise FileRefusedError("encrypted" if error.err_code == _ERR_PASSWORD else "damaged") from None
