"""Makes the recordings of pages that are read aloud: `make audio`.

Without a file the program espeak-ng reads each page in each language of `VOICES`, where the recording is missing or
says other words than the page. With `CODE=sm FILE=help FROM=voice.wav` a speaker's recording is cleaned like a file
that a visitor sends, encoded anew without any data about who spoke and when, and put in place. All recordings have one
length. A speaker's recording is never replaced by a computer's voice.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from xml.sax.saxutils import escape

import av
import click

from app.files.audio import rebuild_mp3
from app.files.clean import CleanedFile, clean_files
from app.site.guide.editions import served_languages
from app.site.guide.loader import load_library
from app.site.guide.models import Edition
from app.site.guide.page_recordings import SPEAKER, read_table, sound_digest, sound_path, table_path
from app.site.guide.recording_frames import RECORDING_BYTES, SPEECH_BITS, SPEECH_HERTZ, lay_out, recording_problem
from app.site.guide.spoken import SPOKEN_SLUGS, SpokenLine, spoken_digest, spoken_page

CONTENT = Path(__file__).resolve().parent.parent / "content"
_TABLE = """\
# `make audio` wrote this file. words: the digest of what is said; sound: the digest of the file beside this one.
words = "{}"
sound = "{}"
voice = "{}"
"""


class Voice(NamedTuple):
    """A voice of espeak-ng, and how many words it says a minute."""

    name: str
    speed: int


# The languages whose computer voice a recogniser of speech understood; docs/translator.md has the figures.
VOICES = {"en": Voice("en-gb", 150), "hi": Voice("hi", 155)}
# The voice for words that stand in English within another language.
ENGLISH_VOICE = VOICES["en"].name


class Place(NamedTuple):
    """Where the recording of one page is, in one folder of content."""

    folder: Path
    edition: Edition
    slug: str

    @property
    def sound(self) -> Path:
        """The recording."""
        return sound_path(self.folder, self.edition.lang, self.slug)

    @property
    def is_whole(self) -> bool:
        """Whether there is a recording that a page can offer."""
        return self.sound.is_file() and not recording_problem(self.sound.read_bytes())

    @property
    def lines(self) -> tuple[SpokenLine, ...]:
        """What the recording has to say."""
        return spoken_page(self.edition, self.slug)

    def write(self, samples: bytes, voice: str) -> str:
        """Write the recording and its table, and return a line about that; ClickException if the sound is too long."""
        try:
            data = lay_out(encode(samples))
        except ValueError:
            minutes = RECORDING_BYTES * 8 // SPEECH_BITS // 60
            raise click.ClickException(f"{self.sound}: the sound is longer than {minutes} minutes") from None
        self.sound.parent.mkdir(parents=True, exist_ok=True)
        self.sound.write_bytes(data)
        table = _TABLE.format(spoken_digest(self.lines), sound_digest(data), voice)
        table_path(self.sound).write_text(table, encoding="utf-8")
        return f"{self.sound}: made with the voice {voice}"


def speak(place: Place) -> bytes:
    """Return a page as espeak-ng reads it, as WAV: each line after a pause, English words in English (SSML 1.1)."""
    own = place.edition.lang
    voice = VOICES[own]
    lines = ("".join(_marked(run.words, run.lang, own) for run in line) for line in place.lines)
    text = "\n".join(f"<p>{line}</p>" for line in lines)
    with TemporaryDirectory() as folder:
        target = Path(folder) / "speech.wav"
        command = ["espeak-ng", "-m", "-b", "1", "-v", voice.name, "-s", str(voice.speed), "-w", str(target)]
        subprocess.run(command, input=f"<speak>{text}</speak>".encode(), check=True, stderr=subprocess.DEVNULL)
        return target.read_bytes()


def _marked(words: str, lang: str, own: str) -> str:
    return escape(words) if lang == own else f'<voice xml:lang="{ENGLISH_VOICE}">{escape(words)}</voice>'


def encode(sound: bytes) -> bytes:
    """Return sound of any kind as frames of speech (ISO 13818-3), without any other data."""
    target = BytesIO()
    with av.open(BytesIO(sound)) as old, av.open(target, "w", format="mp3", options={"write_xing": "0"}) as new:
        stream = new.add_stream("libmp3lame", SPEECH_HERTZ, layout="mono", bit_rate=SPEECH_BITS)
        change = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=SPEECH_HERTZ)
        for frame in (*old.decode(audio=0), None):
            for changed in change.resample(frame):
                changed.pts = None
                new.mux(stream.encode(changed))
        new.mux(stream.encode(None))
    # LAME writes its own name between the frames' sound; the cleaner of visitors' files takes the name out.
    return rebuild_mp3(target.getvalue()).files[0].data


def make_spoken(places: list[Place]) -> Iterator[str]:
    """Let the computer read what is missing or old, and yield a line for each place."""
    for place in places:
        table = read_table(table_path(place.sound))
        if place.is_whole and table.get("words") == spoken_digest(place.lines):
            yield f"{place.sound}: says what the page says"
        elif table.get("voice") == SPEAKER:
            yield f"{place.sound}: a speaker reads an older page; have it read again, or delete the file"
        elif place.edition.lang in VOICES:
            yield place.write(speak(place), "espeak-ng " + VOICES[place.edition.lang].name)


def add_speaker(place: Place, source: Path) -> str:
    """Clean a speaker's recording and put it in place; ClickException if it is refused."""
    (cleaned,) = clean_files([source.read_bytes()])
    if not isinstance(cleaned, CleanedFile):
        raise click.ClickException(f"{source}: {cleaned.message}")
    return place.write(cleaned.data, SPEAKER)


@click.command()
@click.option("--language", "code", default="", help="Only this language, as its folder in content/ is called: sm")
@click.option("--file", "slug", type=click.Choice(["", *SPOKEN_SLUGS]), default="", help="Only this page")
@click.option("--from", "source", type=click.Path(path_type=Path), help="A speaker's recording of that page")
@click.option(
    "--own", type=click.Path(path_type=Path), help="The operator's own folder of content, instead of content/"
)
def cli(code: str, slug: str, source: Path | None, own: Path | None) -> None:
    """Make recordings of the pages that are read aloud."""
    library = load_library(CONTENT, served_languages(CONTENT), own, with_sound=False)
    wanted = [edition for edition in library.editions.values() if code in ("", edition.lang)]
    places = [Place(own or CONTENT, edition, one) for edition in wanted for one in SPOKEN_SLUGS if slug in ("", one)]
    if source is not None:
        if len(places) != 1:
            raise click.UsageError("name the page that the recording says: CODE=sm FILE=help FROM=voice.wav")
        click.echo(add_speaker(places[0], source))
        return
    if not shutil.which("espeak-ng"):
        sys.exit("haumaru: espeak-ng is missing; on Debian: apt-get install espeak-ng")
    for line in make_spoken(places):
        click.echo(line)


if __name__ == "__main__":
    cli()
