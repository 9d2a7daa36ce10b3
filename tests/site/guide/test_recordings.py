"""The pages that are read aloud: what a recording says, what its file may hold, and when a page offers it."""

import io
import shutil
import wave
from array import array
from math import sin

import av
import pytest
from click.testing import CliRunner

from app.core.errors import ConfigError
from app.files.audio import rebuild_mp3
from app.site.guide.loader import load_library
from app.site.guide.page_recordings import SPEAKER, read_table, sound_digest, sound_path, table_path
from app.site.guide.recording_frames import RECORDING_BYTES, SPEECH_FRAME_BYTES, lay_out, recording_problem
from app.site.guide.spoken import SPOKEN_SLUGS, SpokenRun, spoken_digest, spoken_page
from deploy import audio
from tests.support.paths import ROOT
from tests.support.visit import KNOWN, open_site

REAL = ROOT / "content"
RECORDINGS = sorted(REAL.glob("*/audio/*.mp3"))
# Speech of our own: frames with nothing in them.
FRAME = b"\xff\xf3\x28\xc0" + bytes(SPEECH_FRAME_BYTES - 4)
SECOND = 28
LONGEST = (RECORDING_BYTES - 144 - 36 * 720) // SPEECH_FRAME_BYTES


def words_of(edition, slug="help"):
    return [" ".join(run.words for run in line) for line in spoken_page(edition, slug)]


def offer(folder, lang, slug, words, data, *, voice="espeak-ng en-gb"):
    """Put a recording and its table into a folder of content."""
    path = sound_path(folder, lang, slug)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    table_path(path).write_text(f'words = "{words}"\nsound = "{sound_digest(data)}"\nvoice = "{voice}"\n')
    return path


def hum(seconds=2.0, artist="Somebody by Name"):
    """A WAV file with a name in it."""
    samples = array("h", (int(9000 * sin(at / 9)) for at in range(int(16_000 * seconds))))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples.tobytes())
    name = artist.encode() + b"\0" * (len(artist) % 2)
    note = b"INFOIART" + len(name).to_bytes(4, "little") + name
    data = out.getvalue() + b"LIST" + len(note).to_bytes(4, "little") + note
    return b"RIFF" + (len(data) - 8).to_bytes(4, "little") + data[8:]


@pytest.fixture(scope="module")
def texts():
    return load_library(REAL, KNOWN, with_sound=False)


@pytest.fixture
def root(tmp_path):
    """English content without a recording."""
    folder = tmp_path / "content"
    shutil.copytree(REAL / "en", folder / "en", ignore=shutil.ignore_patterns("audio"))
    for name in ("contacts.toml", "plan.toml"):
        shutil.copy(REAL / name, folder / name)
    return folder


def library_of(root, own=None):
    return load_library(root, ("en",), own)


def faults_of(root):
    with pytest.raises(ConfigError) as caught:
        library_of(root)
    return str(caught.value)


def test_numbers_to_call_are_said_digit_by_digit(texts):
    """111 is said as one, one, one, a long number in its groups, and a year as a year."""
    said = "\n".join(words_of(texts.editions["en"]))
    assert "call 1 1 1." in said
    assert ": 0 8 0 0, 5 5 5, 1 1 1." in said
    assert "the plan calls it" in said
    assert "2009 plan" in said
    assert "press 5 5 on" in "\n".join(words_of(texts.editions["en"], "self-check"))


def test_no_address_of_a_web_site_is_said(texts):
    """Every language's recording has the page's words and neither a web address nor a sign of HTML."""
    for edition in texts.editions.values():
        for slug in SPOKEN_SLUGS:
            said = "\n".join(words_of(edition, slug))
            assert len(said) > 500
            assert not {"<", "http", "www.", ".nz", "&amp;"} & {
                part for part in ("<", "http", "www.", ".nz", "&amp;") if part in said
            }


def test_words_in_english_are_marked_in_another_language(texts):
    """The English sentence that a reader shows to others is said with an English voice."""
    runs = [run for line in spoken_page(texts.editions["hi"], "help") for run in line]
    assert any(run.lang == "en" and run.words.startswith("I need help") for run in runs)
    assert {run.lang for run in runs} == {"hi", "en"}


def test_the_digest_follows_words_and_numbers_only():
    """Another comma or capital keeps the digest; another word or another digit of a number changes it."""
    said = spoken_digest([(SpokenRun("Call 0 8 0 0, 5 5.", "en"),)])
    assert said == spoken_digest([(SpokenRun("call: 0 8 0 0 5 5!", "en"),)])
    assert said != spoken_digest([(SpokenRun("Call 0 8 0 0, 5 6.", "en"),)])


@pytest.mark.parametrize("frames", [1, SECOND, 1000, LONGEST - 36, LONGEST])
def test_every_recording_has_one_length(frames):
    """From one frame of speech to the most that fits, a recording is as long as every other, and is accepted."""
    data = lay_out(FRAME * frames)
    assert len(data) == RECORDING_BYTES
    assert recording_problem(data) == ""


def test_speech_that_is_too_long_is_no_recording():
    """A recording is never cut, and other bytes are no speech."""
    for wrong in (FRAME * (LONGEST + 1), b"", FRAME[:-1], b"ID3" + FRAME):
        with pytest.raises(ValueError, match=r"speech|frame"):
            lay_out(wrong)


def test_a_player_finds_the_time_of_the_speech():
    """The file lasts as long as its speech and a minute and a half of silence, as its seek table says."""
    data = lay_out(FRAME * 60 * SECOND)
    with av.open(io.BytesIO(data)) as source:
        seconds = source.duration / av.time_base
        samples = sum(frame.samples for frame in source.decode(audio=0))
    assert 60 < seconds < 60 + 90
    assert abs(samples / 16_000 - seconds) < 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data[:-1], "bytes long"),
        (lambda data: b"ID3" + data[3:], "has a tag"),
        (lambda data: data[:-128] + b"TAG" + data[-125:], "silence"),
        (lambda data: data[:-1] + b"\1", "silence"),
        (lambda data: data[:30] + b"\1" + data[31:], "seek table"),
        (lambda data: data[:147] + b"\xc4" + data[148:], "has a tag"),
    ],
)
def test_a_file_that_holds_more_than_speech_is_refused(spoil, said):
    """Another length, a tag at either end, bytes in the silence or in a header: each is a fault that says what."""
    assert said in recording_problem(spoil(lay_out(FRAME * 100)))


def test_a_page_offers_what_says_its_words_today(root):
    """A recording is offered until the page says something else; then its name is known, and the page offers none."""
    digest = spoken_digest(spoken_page(library_of(root).editions["en"], "help"))
    offer(root, "en", "help", digest, lay_out(FRAME))
    library = library_of(root)
    assert list(library.editions["en"].recordings) == ["help"]
    assert library.old_recordings == ()
    contacts = root / "contacts.toml"
    contacts.write_text(contacts.read_text().replace('number = "0800 555 111"', 'number = "0800 555 112"'))
    library = library_of(root)
    assert library.editions["en"].recordings == {}
    assert library.old_recordings == ("content/en/audio/help.mp3",)


def test_the_operators_own_recording_comes_first(root, tmp_path):
    """The operator's recording of today's words takes the place of the program's; an old one leaves the program's."""
    digest = spoken_digest(spoken_page(library_of(root).editions["en"], "help"))
    offer(root, "en", "help", digest, lay_out(FRAME))
    own = offer(tmp_path / "own", "en", "help", digest, lay_out(FRAME * 2), voice=SPEAKER)
    chosen = library_of(root, tmp_path / "own").editions["en"].recordings["help"]
    assert (chosen.data, chosen.by_computer) == (own.read_bytes(), False)
    offer(tmp_path / "own", "en", "help", "0" * 16, lay_out(FRAME * 2), voice=SPEAKER)
    assert library_of(root, tmp_path / "own").editions["en"].recordings["help"].by_computer


def test_a_file_that_somebody_only_dropped_is_a_fault(root):
    """A speaker's own file, under any name, stops the start with what to do: the file may say who spoke and when."""
    folder = root / "en" / "audio"
    folder.mkdir()
    (folder / "mere.m4a").write_bytes(b"a phone's recording")
    assert "content/en/audio/mere.m4a: is no recording; make a recording of it with make audio" in faults_of(root)
    (folder / "mere.m4a").rename(folder / "help.mp3")
    assert "content/en/audio/help.mp3: is 19 bytes long" in faults_of(root)
    offer(root, "en", "help", "0" * 16, lay_out(FRAME)).write_bytes(lay_out(FRAME * 2))
    assert "is another recording than the table beside it says" in faults_of(root)
    table_path(sound_path(root, "en", "help")).write_text("words = 1\n")
    assert "has no table" in faults_of(root)


def test_a_speakers_recording_is_cleaned_and_gets_the_one_length(tmp_path):
    """A recording with its speaker's name in it is put in place without the name, and the page offers it."""
    source, own = tmp_path / "voice.wav", tmp_path / "own"
    source.write_bytes(hum())
    assert b"Somebody" in source.read_bytes()
    own.mkdir()
    wanted = ["--language", "sm", "--file", "help", "--from", str(source), "--own", str(own)]
    done = CliRunner().invoke(audio.cli, wanted)
    assert done.exit_code == 0, done.output
    made = sound_path(own, "sm", "help")
    assert recording_problem(made.read_bytes()) == ""
    assert not {name for name in (b"Somebody", b"LAME", b"Lav", b"ID3", b"IART") if name in made.read_bytes()}
    assert read_table(table_path(made))["voice"] == SPEAKER
    chosen = load_library(REAL, ("en", "sm"), own).editions["sm"].recordings["help"]
    assert not chosen.by_computer
    # Once the page has changed, no computer's voice takes the speaker's place.
    text = table_path(made).read_text()
    table_path(made).write_text(text.replace('words = "', 'words = "0'))
    done = CliRunner().invoke(audio.cli, ["--language", "sm", "--file", "help", "--own", str(own)])
    assert "a speaker reads an older page" in done.output


def test_a_file_that_is_no_recording_is_refused(tmp_path):
    """What the cleaner of visitors' files refuses is refused here, and nothing is written."""
    source = tmp_path / "voice.wav"
    source.write_bytes(b"no sound")
    wanted = ["--language", "sm", "--file", "help", "--from", str(source), "--own", str(tmp_path)]
    done = CliRunner().invoke(audio.cli, wanted)
    assert done.exit_code == 1
    assert not (tmp_path / "sm").exists()


@pytest.mark.needs("espeak")
def test_the_computer_reads_a_page(tmp_path):
    """One command reads a page into a recording that the page offers, and does nothing where the page is as it was."""
    wanted = ["--language", "en", "--file", "self-check", "--own", str(tmp_path)]
    made = CliRunner().invoke(audio.cli, wanted)
    assert "made with the voice espeak-ng en-gb" in made.output
    chosen = load_library(REAL, ("en",), tmp_path).editions["en"].recordings["self-check"]
    assert chosen.data == sound_path(tmp_path, "en", "self-check").read_bytes()
    with av.open(io.BytesIO(chosen.data)) as source:
        assert source.duration / av.time_base > 120
    assert "says what the page says" in CliRunner().invoke(audio.cli, wanted).output


def test_the_recordings_say_what_their_pages_say():
    """Every recording of the repository is of today's page, says nothing else, and English has both."""
    library = load_library(REAL, KNOWN)
    assert library.old_recordings == (), "run: make audio"
    assert set(library.editions["en"].recordings) == set(SPOKEN_SLUGS)
    assert len(RECORDINGS) == sum(len(edition.recordings) for edition in library.editions.values())


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_no_recording_names_a_program_or_a_speaker(path):
    """The cleaner of visitors' files finds nothing to take out of a recording but its seek table."""
    data = path.read_bytes()
    assert rebuild_mp3(data).files[0].data == data[144:]


def test_a_page_says_that_others_may_hear_and_never_starts_by_itself(site):
    """The player waits until somebody starts it, and stands beside its warning; a page without a recording has none."""
    page = site.get("/en/help")
    player = page.document.one("audio")
    assert player.attrs.items() >= {("controls", ""), ("preload", "none"), ("src", "/en/audio/help.mp3")}
    assert "Other people may hear the sound." in page.document.one("figcaption").text
    assert "A computer reads the page aloud, and may" in page.document.one("figcaption").text
    assert "media-src 'self'" in page.headers["Content-Security-Policy"]
    assert not site.get("/en/signs").document.all("audio")
    silent = next(code for code in site.languages if not (REAL / code / "audio").exists())
    assert not site.get(f"/{silent}/help").document.all("audio")
    assert site.get(f"/{silent}/audio/help.mp3").status == 404


def test_a_player_gets_the_part_that_it_asks_for(site):
    """A range is answered with 206 and exactly its bytes, the whole with 200, and a range beyond the end with 416."""
    path = "/en/audio/help.mp3"
    whole = site.get(path)
    assert (whole.status, len(whole.response.data)) == (200, RECORDING_BYTES)
    assert whole.headers["Accept-Ranges"] == "bytes"
    first = site.get(path, Range="bytes=0-1")
    assert (first.status, first.response.data) == (206, whole.response.data[:2])
    assert first.headers["Content-Range"] == f"bytes 0-1/{RECORDING_BYTES}"
    rest = site.get(path, Range="bytes=1000-")
    assert (rest.status, rest.response.data) == (206, whole.response.data[1000:])
    beyond = site.get(path, Range=f"bytes={RECORDING_BYTES}-")
    assert beyond.status == 416
    for answer in (whole, first, rest):
        assert answer.headers["Content-Type"] == "audio/mpeg"
        assert "Set-Cookie" not in answer.headers
    own = {name: value for name, value in whole.headers.items() if name != "Content-Length"}
    assert own.items() <= first.headers.items()


def test_both_recordings_are_one_answer_to_an_observer(site):
    """Headers and body of each recording are equally long, whole or in part."""
    ready = [page for path, page in site.prerendered.pages.items() if path.endswith(".mp3")]
    assert len(ready) >= 2
    assert {len(page.identity) for page in ready} == {RECORDING_BYTES}
    assert len({page.headers for page in ready}) == 1
    parts = [site.get(f"/en/audio/{slug}.mp3", Range="bytes=0-99999").response for slug in SPOKEN_SLUGS]
    assert len({(tuple(part.headers), len(part.data)) for part in parts}) == 1


def test_the_way_out_closes_the_recordings_too(site):
    """While the cookie of the way out is good, a recording leads away from the site, whole or in part."""
    cookie = site.post("/go", {"leave": "now"}).headers["Set-Cookie"].partition(";")[0]
    for headers in ({}, {"Range": "bytes=0-1"}):
        assert site.get("/en/audio/help.mp3", Cookie=cookie, **headers).status == 303


@pytest.mark.slow
def test_every_language_can_have_a_recording(tmp_path, texts):
    """A page of every language with a recording still has its one length."""
    own = tmp_path / "own"
    for lang, edition in texts.editions.items():
        for slug in SPOKEN_SLUGS:
            offer(own, lang, slug, spoken_digest(spoken_page(edition, slug)), lay_out(FRAME))
    site = open_site(tmp_path, CONTENT_FOLDER=str(own))
    for lang in site.languages:
        for slug in SPOKEN_SLUGS:
            page = site.get(f"/{lang}/{slug}")
            assert page.document.one("audio").attrs["src"] == f"/{lang}/audio/{slug}.mp3"
            sizes = {len(site.prerendered.pages[f"/{lang}/{name}"].br) for name in (slug, "about")}
            assert len(sizes) == 1
