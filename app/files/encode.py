"""Encodes recordings of many kinds anew, as H.264 and AAC in MP4 or M4A (or as Opus, where they were Opus or Vorbis).

Pictures keep their turn, the shape of their pixels and their colours; sound keeps its place beside them. How long the
whole would take is reckoned from the first seconds of work: where 60 seconds of a processor are too few, pictures are
made half as wide and high, and where that is too slow still, the recording is refused with a length that would fit.
`mask_voice` changes how a voice sounds; somebody with the right tools may still recognise the speaker.
"""

from dataclasses import dataclass, replace

import av
from av.container import OutputContainer

from app.core.errors import FileRefusedError
from app.files.av import copied_video_track, found_kinds, must_encode_on_errors, output_format_of
from app.files.encoded_film import FilmSize, encoded_film_track
from app.files.encoded_sound import encoded_sound_track
from app.files.frames import SECONDS_OF_WORK, TooLongError, WorkMeter
from app.files.protocol import (
    MUST_ENCODE,
    OutputFormat,
    RemovedKind,
    Voice,
    WorkerResult,
    single_file_result,
    too_long_code,
)
from app.files.questions import unpack_voice
from app.files.recordings import (
    Overview,
    Picture,
    Recording,
    Track,
    film_preview,
    first_picture,
    first_tracks,
    look,
    write_recording,
)

_LEAST_WIDTH_TO_HALVE = 640
# Bytes of a film that is made of a small and of a large one.
_SMALL_FILM, _LARGE_FILM = 3_800_000, 90_000_000
_BITS_OF_SOUND, _LEAST_BITS, _MOST_BITS = 200_000, 100_000, 12_000_000


@dataclass(frozen=True)
class _Plan:
    """How a recording is encoded: whether its film is copied, its pictures made smaller, and its voice masked."""

    copy: bool = False
    picture: Picture | None = None
    divisor: int = 1
    bits: int = 0
    voice: Voice | None = None


def encode_media(data: bytes) -> WorkerResult:
    """Return the recording encoded anew as MP4, M4A or Ogg.

    Raises FileRefusedError "damaged", "unknown", or a code of `protocol.TOO_LONG_SECONDS`.
    """
    return _encode(data, _Plan())


def mask_voice(packed: bytes) -> WorkerResult:
    """Return what `protocol.pack_voice` joined as MP4 or M4A with a masked voice; raises as `encode_media` does."""
    voice, data = unpack_voice(packed)
    return _encode(data, _Plan(voice=voice))


def _encode(data: bytes, plan: _Plan) -> WorkerResult:
    av.logging.set_level(None)
    recording, kinds = Recording(data), found_kinds(data)
    overview = look(recording)
    if overview.is_cut:
        kinds.add(RemovedKind.CUT)
    whole = 0.0
    for each in _plans(plan, recording, overview):
        try:
            return _encode_once(recording, overview, each, kinds)
        except TooLongError as too_long:
            whole = too_long.whole
            if each.copy:  # to encode the pictures as well takes longer still
                break
        except FileRefusedError as refused:
            if refused.code != MUST_ENCODE or not each.copy:
                raise
    raise FileRefusedError(too_long_code(float(overview.seconds) * SECONDS_OF_WORK / whole))


def _plans(plan: _Plan, recording: Recording, overview: Overview) -> list[_Plan]:
    """Return the plans to try one after another: copying the pictures, encoding them, and encoding them smaller."""
    if not overview.pictures:
        return [plan]
    picture, _ = first_picture(recording.open)
    plans = [replace(plan, copy=True)] if recording.is_iso_media and not overview.is_cut else []
    encoding = replace(plan, picture=picture, bits=_bits_a_second(recording, overview))
    plans.append(encoding)
    return [*plans, replace(encoding, divisor=2)] if picture.width >= _LEAST_WIDTH_TO_HALVE else plans


def _bits_a_second(recording: Recording, overview: Overview) -> int:
    """Return at how many bits a second a film fits into what `clean.most_output` allows, with room for its sound."""
    most = max(_SMALL_FILM, min(3 * recording.length, _LARGE_FILM), recording.length)
    bits = int(most * 8 / max(1.0, float(overview.seconds))) - _BITS_OF_SOUND
    return max(_LEAST_BITS, min(bits, _MOST_BITS))


def _encode_once(recording: Recording, overview: Overview, plan: _Plan, kinds: set[RemovedKind]) -> WorkerResult:
    meter = WorkMeter(overview)
    with must_encode_on_errors(active=plan.copy), recording.open() as source:
        film, sound = first_tracks(source)
        output_format = OutputFormat.M4A if plan.voice and not film else output_format_of(film, sound)

        def make_tracks(sink: OutputContainer) -> list[Track]:
            tracks = []
            if film and plan.copy:
                tracks.append(copied_video_track(sink, film, overview))
            elif film and plan.picture:
                size = FilmSize(plan.picture, plan.divisor, plan.bits)
                tracks.append(encoded_film_track(sink, film, size, overview.start, meter))
            if sound:
                tracks.append(encoded_sound_track(sink, sound, overview.start, meter, plan.voice))
            return tracks

        made = write_recording(source, output_format, make_tracks)
    if meter.damaged or overview.is_shorter:
        kinds = kinds | {RemovedKind.DAMAGED_PARTS}
    if plan.divisor > 1:
        kinds = kinds | {RemovedKind.FINE_DETAIL}
    return single_file_result(output_format, made, kinds, preview=film_preview(made) if film else b"")
