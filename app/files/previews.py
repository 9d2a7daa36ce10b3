"""Makes small JPEGs of a cleaned picture, on which a sender sees what will be sent, and chooses what to cover.

A preview has at most 160 pixels a side and 6,000 bytes, so that ten of them fit into one page, and nothing beside its
pixels: `protocol.is_preview` checks that again in the parent. The picture to cover has at most 960 pixels a side and
60,000 bytes.
"""

import io

from PIL import Image

from app.files.protocol import MAX_COVER_BYTES, MAX_PREVIEW_BYTES, MAX_PREVIEW_SIDE

_MAX_COVER_SIDE = 960
_QUALITIES = (75, 60, 45, 30, 15, 5)


def preview_of(picture: Image.Image) -> bytes:
    """Return a JPEG of a picture of any mode, at most 160 pixels a side and 6,000 bytes, without metadata."""
    return _small_jpeg(picture, MAX_PREVIEW_SIDE, MAX_PREVIEW_BYTES)


def cover_of(picture: Image.Image) -> bytes:
    """Return a JPEG of a picture of any mode, at most 960 pixels a side and 60,000 bytes, without metadata."""
    return _small_jpeg(picture, _MAX_COVER_SIDE, MAX_COVER_BYTES)


def _small_jpeg(picture: Image.Image, most_pixels: int, most_bytes: int) -> bytes:
    scale = min(1.0, most_pixels / max(picture.size))
    width, height = (max(1, int(side * scale)) for side in picture.size)
    # Reducing by whole pixels first costs no copy of a large picture.
    small = picture.resize((width, height), reducing_gap=2.0).convert("RGB")
    small.info = {}
    for quality in _QUALITIES:
        target = io.BytesIO()
        small.save(target, "JPEG", quality=quality, optimize=True)
        if target.tell() <= most_bytes:
            return target.getvalue()
    return _small_jpeg(small, most_pixels // 2, most_bytes)
