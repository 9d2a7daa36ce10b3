"""Black boxes in pictures and PDFs: what they cover is gone, and the rest stays."""

import io

from PIL import Image

from app.files.clean import clean_files, pdf_page_images, redact_file
from tests.corpus.pictures import scene


def test_what_is_under_a_black_box_is_gone():
    """In a picture the covered pixels are black to the edge of their blocks, and the others are as they were."""
    original = scene()
    target = io.BytesIO()
    original.save(target, "PNG")
    result = redact_file(target.getvalue(), {0: [(0.5, 0.5, 0.75, 1.0)]})
    image = Image.open(io.BytesIO(result.data)).convert("RGB")
    covered = image.crop((162, 102, 238, 198)).getextrema()
    assert max(high for _, high in covered) < 12
    assert image.getpixel((20, 20))[0] > 200


def test_a_box_on_a_page_of_a_pdf_covers_that_page_only():
    """Boxes go by page, and every page is still there."""
    target = io.BytesIO()
    page = Image.new("RGB", (400, 300), "white")
    page.save(target, "TIFF", save_all=True, append_images=[page])
    (scan,) = clean_files([target.getvalue()])
    result = redact_file(scan.data, {1: [(0.0, 0.0, 1.0, 1.0)]})
    pages = pdf_page_images(result.data)
    first, second = (Image.open(io.BytesIO(page.data)).convert("L").getextrema() for page in pages)
    assert first == (255, 255)
    assert second == (0, 0)
