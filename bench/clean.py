"""Cleaning: MB/s, peak memory, and what the sandbox costs beside the same work without it, format by format.

`python bench/clean.py` prints the table; each line is measured in processes of its own, so that one format's memory
does not count for another's.
"""

import io
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402 - the repository's own modules, found by the line above

from app.files import child_process, sniff  # noqa: E402
from app.files.protocol import unpack_result  # noqa: E402
from app.files.worker import _load_task  # noqa: E402
from tests.corpus import bombs, papers, recordings  # noqa: E402
from tests.support.figures import noise  # noqa: E402

TIMES = 3


def photo(form: str, **options: object) -> bytes:
    """Twelve megapixels, as smooth and as noisy as a telephone's."""
    noise = Image.effect_noise((4000, 3000), 12)
    smooth = Image.radial_gradient("L").resize((4000, 3000))
    image = Image.merge("RGB", (Image.blend(smooth, noise, 0.2), smooth, noise))
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def film(codec: str, size: tuple[int, int], pictures: int) -> bytes:
    """Moving pictures without sound."""
    wide = (size[0] + 64, size[1] + 64)
    smooth = Image.radial_gradient("L").resize(wide)
    scene = Image.blend(smooth, Image.effect_noise(wide, 10), 0.2).convert("RGB")
    frames = [scene.crop((step, step, step + size[0], step + size[1])) for step in range(pictures % 64)]
    return recordings._recorded("mp4", [recordings._video(codec, frames)])  # noqa: SLF001 - the corpus's own maker


def sound(form: str, codec: str, seconds: float, rate: int = 44_100) -> bytes:
    """A tone."""
    return recordings._recorded(form, [recordings._sound(codec, seconds, rate)])  # noqa: SLF001


MAKERS: dict[str, Callable[[], bytes]] = {
    "JPEG, 12 megapixels": lambda: photo("JPEG", quality=92),
    "PNG, 12 megapixels": lambda: photo("PNG", compress_level=1),
    "WebP, 12 megapixels": lambda: photo("WEBP", method=0),
    "TIFF, 12 megapixels": lambda: photo("TIFF"),
    "AVIF, 12 megapixels": lambda: photo("AVIF", speed=10, max_threads=1),
    "JPEG, 25 megapixels": lambda: bombs._saved("JPEG", Image.effect_noise((6250, 4000), 40).convert("RGB")),  # noqa: SLF001
    "PDF, 100 pages of text": lambda: text_pages(100),
    "MP4, 1080p H.264": lambda: film("libx264", (1920, 1080), 63),
    "MOV, 1080p MJPEG (encoded again)": lambda: film("mjpeg", (1920, 1080), 63),
    "M4A, 10 minutes": lambda: sound("ipod", "aac", 600),
    "MP3, 10 minutes": lambda: sound("mp3", "libmp3lame", 600),
    "Ogg Opus, 10 minutes": lambda: sound("ogg", "libopus", 600, 48_000),
    "WAV, 4 minutes": lambda: sound("wav", "pcm_s16le", 240),
    "DOCX": lambda: next(paper.data for paper in papers.everything() if paper.name.endswith("docx")),
    "text, 1 MB": lambda: "Kia ora, ngā kōrero.\n".encode() * 43_000,
}


def text_pages(count: int) -> bytes:
    """Full pages of small type."""
    lines = b"T* ".join(
        b"(The quick brown fox jumps over the lazy dog, and over again, line %d) Tj " % n for n in range(60)
    )
    content = b"BT /F 9 Tf 12 TL 50 800 Td " + lines + b"ET"
    kids = b" ".join([b"3 0 R"] * count)
    font = b"<< /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources %s >>" % font
    stream = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)
    tree = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids)
    return bombs._pdf([b"<< /Type /Catalog /Pages 2 0 R >>", tree, page, stream])  # noqa: SLF001


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """The median of several runs, and their noise."""
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken), noise(taken)


def measure(name: str, path: Path) -> None:
    """One format in this process: in the sandbox, its memory, then the same work here."""
    data = path.read_bytes()
    task = sniff.task_for(data)
    inside, differ = seconds(lambda: child_process.run_worker(task, data, seconds=60))
    made = unpack_result(child_process.run_worker(task, data, seconds=60)).files[0]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    rebuild = _load_task(task)
    outside, _ = seconds(lambda: rebuild(data))
    print(json.dumps([name, len(data), len(made.data), inside, differ, outside, peak, made.format.extension]))


def main() -> None:
    """Make each file in a process of its own, measure it in another, and print a line."""
    if len(sys.argv) == 3:
        return Path(sys.argv[2]).write_bytes(MAKERS[sys.argv[1]]()) and None
    if len(sys.argv) == 4:
        return measure(sys.argv[1], Path(sys.argv[2]))
    print(f"{'file':34} {'MB':>6} {'out/in':>7} {'s':>6} {'MB/s':>6} {'noise':>6} {'sandbox/bare':>13} {'peak MiB':>9}")
    path = Path("/dev/shm") / f"haumaru-bench-{os.getpid()}"
    try:
        for name in MAKERS:
            subprocess.run([sys.executable, __file__, name, path], check=True)
            done = subprocess.run([sys.executable, __file__, name, path, "measure"], check=True, capture_output=True)
            _, size, out, inside, differ, outside, peak, form = json.loads(done.stdout)
            print(f"{name:34} {size / 1e6:6.2f} {out / size:7.2f} {inside:6.2f} {size / 1e6 / inside:6.1f} "
                  f"{differ:6.0%} {inside / outside:13.2f} {peak:9.0f}  -> {form}", flush=True)  # fmt: skip
    finally:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
