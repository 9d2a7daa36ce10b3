"""Nothing that was planted survives: every specimen of the corpus, searched before and after cleaning."""

import io
import zipfile
from contextlib import suppress

import av
import pikepdf
import pytest
from av.stream import Disposition
from PIL import Image

from app.files.clean import CleanedFile, clean_files
from app.files.protocol import RemovedKind
from tests.corpus import recordings
from tests.corpus.make import NAMES
from tests.corpus.search import everywhere

# What the sender must at least be told of each.
TOLD = {
    "photo.jpg": "GPS SERIAL AUTHOR DATE CAMERA THUMBNAIL CREDENTIALS MAKER_NOTES COMMENTS PROFILE TRAILING XMP"
    " KEYWORDS",
    "photo.heic": "GPS SERIAL CREDENTIALS",
    "photo.tif": "GPS LAYERS",
    "drawing.gif": "ANIMATION COMMENTS",
    "film.mp4": "SUBTITLES TRACKS GPS AUTHOR ENCODER CREDENTIALS DATE",
    "film.mov": "GPS CAMERA CHAPTERS",
    "music.mp3": "AUTHOR EMBEDDED COVER ENCODER",
    "letter.pdf": "AUTHOR EMBEDDED JAVASCRIPT LAYERS INVISIBLE FORMS NOTES HISTORY TRAILING",
    "letter.docx": "AUTHOR DELETED INVISIBLE COMMENTS LAYOUT",
    "payments.xlsx": "AUTHOR HIDDEN",
    "notes.txt": "MARKS",
}

pytestmark = pytest.mark.needs("exiftool")


def test_the_corpus_holds_every_format_it_should(specimens):
    """No format can drop out of the corpus unseen."""
    assert set(specimens) == set(NAMES)
    assert sum(len(specimen.places) for specimen in specimens.values()) > 300


@pytest.mark.parametrize("name", NAMES)
def test_every_mark_is_found_before(specimens, name):
    """Each mark really is where it was planted, so that not finding it later means something."""
    specimen = specimens[name]
    hay = everywhere(specimen.data)
    assert specimen.places
    assert [place for place, mark in specimen.places.items() if mark not in hay] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_mark_is_found_after(specimens, cleaned, name):
    """Nothing planted is left in the file or its preview, in exiftool's output, or in anything unpacked."""
    result = cleaned[name]
    assert isinstance(result, CleanedFile), result
    hay = everywhere(result.data) + everywhere(result.preview)
    survivors = [place for place, mark in specimens[name].places.items() if mark in hay]
    print(f"{name} -> {result.type}: {len(specimens[name].places)} places, {len(survivors)} survivors")
    assert survivors == []


@pytest.mark.parametrize("name", NAMES)
def test_the_result_passes_again_and_has_nothing_left_to_tell(cleaned, name):
    """What came out is a whole file of its format: cleaned once more it is taken, and nothing is found in it."""
    (again,) = clean_files([cleaned[name].data])
    assert isinstance(again, CleanedFile), again
    assert set(again.removed) <= {RemovedKind.NUMBER}  # a PDF's own identifier, made of the pixels


@pytest.mark.parametrize("name", TOLD)
def test_the_sender_is_told_what_was_taken_out(cleaned, name):
    """The kinds that a person would care for are named, and no value ever is."""
    told = set(cleaned[name].removed)
    assert {str(RemovedKind[kind]) for kind in TOLD[name].split()} <= told
    assert told <= {str(kind) for kind in RemovedKind}


def test_visible_words_stay(specimens, cleaned):
    """The visible text of documents is kept, in its order."""
    tried = [specimen for specimen in specimens.values() if specimen.visible and not specimen.name.endswith("pdf")]
    assert tried
    for specimen in tried:
        text = cleaned[specimen.name].data.decode()
        places = [text.find(words) for words in specimen.visible]
        assert -1 not in places, (specimen.name, text)
        assert places == sorted(places)


def test_every_page_of_a_scan_is_kept(cleaned):
    """A TIFF of three pages becomes a PDF of three."""
    with pikepdf.open(io.BytesIO(cleaned["scan.tif"].data)) as document:
        assert len(document.pages) == 3


def test_pictures_keep_what_they_show(specimens, cleaned):
    """The red corner is still red, and the size is the same, in every picture format."""
    for name in NAMES[:5]:
        image = Image.open(io.BytesIO(cleaned[name].data)).convert("RGB")
        assert image.size == (320, 200)
        red, green, blue = image.getpixel((20, 20))
        assert red > 200, name
        assert green < 60, name
        assert blue < 60, name


@pytest.mark.parametrize(
    "name", ["film.mp4", "film.mov", "hevc.mp4", "voice.m4a", "music.mp3", "voice.ogg", "voice.wav"]
)
def test_recordings_play_as_long_as_before(specimens, cleaned, name):
    """Every picture is still there, and the sound within a twentieth of a second and an encoder's delay."""
    before, after = _lengths(specimens[name].data), _lengths(cleaned[name].data)
    assert after[0] == before[0]
    assert abs(after[1] - before[1]) < 0.1


def test_what_an_edit_list_hid_is_not_in_the_file():
    """Pictures cut away on the phone are gone: none of the red ones decodes, all of the blue ones do."""
    original = recordings.cut_by_edit_list(hidden=5, shown=10)
    (result,) = clean_files([original])
    assert RemovedKind.CUT in result.removed
    colours = [_blueness(data) for data in (original, result.data)]
    assert colours[0] == [False] * 5 + [True] * 10
    assert colours[1] == [True] * 10


def _lengths(data: bytes) -> tuple[int, float]:
    with av.open(io.BytesIO(data)) as source:
        pictures, seconds = 0, 0.0
        video = [stream for stream in source.streams.video if not stream.disposition & Disposition.attached_pic]
        kept = [*video[:1], *source.streams.audio[:1]]
        for packet in source.demux(kept):
            with suppress(av.error.InvalidDataError):  # what was planted between frames is no sound
                for frame in packet.decode():
                    is_picture = isinstance(frame, av.VideoFrame)
                    pictures += is_picture
                    seconds += 0 if is_picture else frame.samples / frame.sample_rate
        return pictures, seconds


def _blueness(data: bytes) -> list[bool]:
    with av.open(io.BytesIO(data), options={"ignore_editlist": "1"}) as source:
        return [frame.to_image().getpixel((30, 30))[2] > 128 for frame in source.decode(video=0)]


def test_a_document_is_only_text_afterwards(cleaned):
    """An office file comes back as plain text, not as a zip that might hold more."""
    result = cleaned["letter.docx"]
    assert result.type == "text/plain"
    assert not zipfile.is_zipfile(io.BytesIO(result.data))


def test_a_recording_cut_short_is_refused(specimens):
    """Half a film is not passed on as a whole one, wherever its index stands."""
    index_first = io.BytesIO()
    with (
        av.open(io.BytesIO(specimens["film.mp4"].data)) as source,
        av.open(index_first, "w", format="mp4", container_options={"movflags": "frag_keyframe+empty_moov"}) as sink,
    ):
        stream = sink.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    for data in (specimens["film.mp4"].data, index_first.getvalue(), specimens["voice.m4a"].data):
        (result,) = clean_files([data[: len(data) // 2]])
        assert getattr(result, "code", "taken") == "damaged"


@pytest.mark.parametrize("encoded_again", [False, True])
def test_a_film_held_upright_stays_upright(encoded_again):
    """The turn that a telephone notes is kept, for copied pictures and for those encoded again."""
    original = recordings.turned("mjpeg" if encoded_again else "libx264")
    (result,) = clean_files([original])
    turns = []
    for data in (original, result.data):
        with av.open(io.BytesIO(data)) as source:
            turns.append(next(source.decode(video=0)).rotation)
    assert turns[0] == turns[1] != 0
