"""Recordings as telephones, recorders and programs make them: taken, with nothing lost, moved or kept by mistake."""

import io
import struct

import av
import pytest

from app.core.errors import FileRefusedError
from app.files.av import rebuild_media
from app.files.clean import CleanedFile, clean_files
from app.files.iso_boxes import check_written_boxes
from app.files.protocol import RemovedKind
from tests.corpus import films, recordings
from tests.corpus.boxes import body, box, insert

_MARK = b"HIDDEN-MARK-OF-ONE"
_PSSH = box(b"pssh", bytes(4) + bytes(range(16)) + struct.pack(">I", len(_MARK)) + _MARK)
_TRAK = [b"moov", b"trak"]


def _cleaned(data):
    (result,) = clean_files([data])
    assert isinstance(result, CleanedFile), result
    return result


def _decode_errors(data):
    """How many frames decode, and how many packets do not."""
    frames = errors = 0
    with av.open(io.BytesIO(data)) as source:
        for packet in source.demux([*source.streams.video[:1], *source.streams.audio[:1]]):
            try:
                frames += len(packet.decode())
            except av.error.InvalidDataError:
                errors += 1
    return frames, errors


@pytest.mark.parametrize("where", [[b"moov"], _TRAK, [*_TRAK, b"mdia"], [*_TRAK, b"mdia", b"minf", b"stbl"]])
def test_encryption_data_is_not_copied(where):
    """Whatever a `pssh` box holds, and wherever it stands, nothing of it is in the cleaned film."""
    data = insert(recordings.still("libx264"), where, _PSSH)
    assert _MARK in data
    assert _MARK not in rebuild_media(data).files[0].data


def test_a_box_without_a_length_is_not_copied():
    """A box of length 0, which reaches to the end of its parent, is read as FFmpeg reads it."""
    endless = struct.pack(">I", 0) + _PSSH[4:]
    assert _MARK not in rebuild_media(insert(recordings.still("libx264"), [b"moov"], endless)).files[0].data


def test_bit_rates_of_the_source_are_not_copied():
    """The bit rates in a sound track's header are numbers that any program may choose; ours are reckoned anew."""
    data = films.recorded("ipod", None, "aac", seconds=1.0)
    esds = body(data, [*_TRAK, b"mdia", b"minf", b"stbl", b"stsd", b"mp4a", b"esds"])
    at = esds.index(b"\x04\x80\x80\x80") + 7  # the decoder's configuration (ISO 14496-1, 7.2.6.6)
    marked = esds[:at] + b"ID" + esds[at + 2 : at + 3] + b"NUMB" + esds[at + 7 :]
    rebuilt = rebuild_media(data.replace(esds, marked)).files[0].data
    assert b"NUMB" not in rebuilt


def test_a_written_box_that_is_not_known_is_refused():
    """The check of what was written knows every box of our own, and no other."""
    data = rebuild_media(recordings.still("libx264")).files[0].data
    check_written_boxes(data)
    for changed in (data + _PSSH, insert(data, [b"moov"], _PSSH), insert(data, _TRAK, box(b"udta", bytes(80)))):
        with pytest.raises(FileRefusedError, match="must-encode"):
            check_written_boxes(changed)


def test_no_sound_frame_is_damaged_by_cleaning():
    """Every frame of FFmpeg's own AAC decodes after cleaning, also each that carried the encoder's name."""
    data = films.recorded("ipod", None, "aac", seconds=20.0)
    assert data.count(b"Lavc") >= 1
    rebuilt = _cleaned(data).data
    assert _decode_errors(rebuilt) == _decode_errors(data)
    assert _decode_errors(rebuilt)[1] == 0


def test_no_specimen_decodes_worse_than_before(specimens, cleaned):
    """No packet of any recording in the corpus fails to decode after cleaning."""
    tried = [name for name in specimens if cleaned[name].type.startswith(("audio", "video"))]
    assert len(tried) >= 9
    for name in tried:
        assert _decode_errors(cleaned[name].data)[1] == 0, name


@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_sound_that_starts_later_stays_later(codec):
    """Sound and film keep their distance, for pictures that are copied and for those encoded again."""
    data = films.recorded("mp4", codec, "aac", delay=0.8)
    rebuilt = _cleaned(data).data
    assert _first_loud(data) == pytest.approx(0.8, abs=0.06)
    assert _first_loud(rebuilt) == pytest.approx(_first_loud(data), abs=0.05)
    assert _first_picture(rebuilt) == pytest.approx(0.0, abs=0.05)


def _first_loud(data):
    """When the first sound that can be heard is played, in seconds."""
    with av.open(io.BytesIO(data)) as source:
        for frame in source.decode(audio=0):
            loud = av.AudioResampler("s16", "mono").resample(frame)
            for part in loud:
                values = struct.unpack(f"<{part.samples}h", bytes(part.planes[0])[: 2 * part.samples])
                for number, value in enumerate(values):
                    if abs(value) > 2000:
                        return frame.time + number / part.sample_rate
    return None


def _first_picture(data):
    with av.open(io.BytesIO(data)) as source:
        return next(source.decode(video=0)).time


def test_an_edit_list_of_ours_hides_nothing():
    """A cleaned film with a delayed track decodes to the same pictures and sound, with and without its edit list."""
    rebuilt = rebuild_media(films.recorded("mp4", "libx264", "aac", delay=0.8)).files[0].data
    frames = []
    for ignored in ("0", "1"):
        with av.open(io.BytesIO(rebuilt), options={"ignore_editlist": ignored}) as source:
            frames.append(sum(len(packet.decode()) for packet in source.demux()))
    assert frames[0] == frames[1]


def _with_second_layer(data):
    """HEVC in MP4 with a unit of a second layer after each picture, where spatial films have the second eye."""
    target = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(target, "w", format="mp4") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.dts is None:
                continue
            unit = b"\x02\x09" + _MARK
            made = av.Packet(bytes(packet) + len(unit).to_bytes(4, "big") + unit)
            made.pts, made.dts, made.time_base, made.is_keyframe = packet.pts, packet.dts, packet.time_base, True
            made.stream = stream
            sink.mux(made)
    return target.getvalue()


def test_a_spatial_film_is_encoded_anew():
    """Of a film with a layer for each eye the first is kept, and nothing of the second is in the file."""
    data = _with_second_layer(films.recorded("mp4", "libx265", None, seconds=0.4))
    assert data.count(_MARK) == 10
    with pytest.raises(FileRefusedError, match="must-encode"):
        rebuild_media(data)
    result = _cleaned(data)
    assert _MARK not in result.data
    assert _decode_errors(result.data) == (10, 0)


def test_encryption_data_is_told():
    """The sender is told that more than sound and pictures was in the film."""
    data = insert(recordings.still("libx264"), [b"moov"], _PSSH)
    assert RemovedKind.OTHER in rebuild_media(data).kinds
