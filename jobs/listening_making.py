"""Making listening copies, by a child process: recordings of strangers are never decoded in this
one, and what we made ourselves needs no second way."""

import json
import math
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import structlog
from django.conf import settings

from config.errors import MediaError, MediaTooDemanding
from jobs.confined import confined_run
from jobs.heartbeat import Heartbeat
from jobs.models import Listening
from jobs.storage import local_copy, storage_save
from separation import confined_segments
from separation.audio.segments import LEVELS, SEGMENT_S, Segments, peak_counts, peaks_size

log = structlog.get_logger(__name__)

_ANSWER_MAX_BYTES: Final = 1024 * 1024
# FLAC of noise is a little longer than the samples themselves; headers of short segments are more.
_BYTES_A_SAMPLE: Final = 4
_HEADERS_BYTES: Final = 64 * 1024
# It takes about a hundredth of the time that the recording lasts; what was glued together from odd
# parts may take more.
_SECONDS_BASE: Final = 60
_SECONDS_A_SECOND: Final = 0.25


def segments_seconds(duration_s: float) -> int:
    """How long it may take to make the segments of a recording."""
    return _SECONDS_BASE + math.ceil(duration_s * _SECONDS_A_SECOND)


def listening_make(listening: Listening, heartbeat: Heartbeat, folder: Path) -> dict[str, Any]:
    """Write the two files and store them; returns the values of the row."""
    audio, peaks = folder / "audio", folder / "peaks"
    expected = peaks_size(peak_counts(listening.n_samples, listening.asset.sample_rate))

    def on_tick() -> None:
        heartbeat.report(min(1.0, peaks.stat().st_size / expected))

    with local_copy(key=listening.asset.storage_key, folder=folder) as recording:
        written = _write(listening, recording, audio, peaks, on_tick)
    _check(written, listening, audio, peaks)
    for key, path in ((listening.audio_key, audio), (listening.peaks_key, peaks)):
        heartbeat.check()
        storage_save(key=key, path=path)
    heartbeat.check()
    return {
        "offsets": written.offsets,
        "gain": written.gain,
        "peak_counts": written.counts,
        "size_bytes": audio.stat().st_size + peaks.stat().st_size,
    }


def _write(
    listening: Listening, recording: Path, audio: Path, peaks: Path, on_tick: Callable[[], None]
) -> Segments:
    with (
        recording.open("rb") as source,
        audio.open("wb") as audio_file,
        peaks.open("wb") as peaks_file,
    ):
        files = (source.fileno(), audio_file.fileno(), peaks_file.fileno())
        output = confined_run(
            confined_segments,
            _request(listening, *files),
            descriptors=files,
            total_s=segments_seconds(listening.duration_s),
            max_output_bytes=_ANSWER_MAX_BYTES,
            on_tick=on_tick,
        )
    return _read(output)


def _request(
    listening: Listening, source: int, audio: int, peaks: int
) -> confined_segments.Request:
    n_values = listening.n_samples * listening.asset.channels
    n_segments = 1 + listening.n_samples // listening.asset.sample_rate // SEGMENT_S
    return confined_segments.Request(
        descriptor=source,
        audio=audio,
        peaks=peaks,
        start=listening.range_start,
        end=listening.range_end,
        file_bytes=_BYTES_A_SAMPLE * n_values + _HEADERS_BYTES * n_segments,
        memory_bytes=settings.PROBE_MEMORY_BYTES,
        cpu_s=segments_seconds(listening.duration_s),
        parent=os.getpid(),
    )


def _read(output: bytes) -> Segments:
    """Read the answer, believing nothing of it: a decoder may have been taken over."""
    try:
        answer = json.loads(output)
        if "error" in answer:
            raise MediaError
        return Segments(**answer["written"])
    except (ValueError, TypeError, KeyError):
        log.exception("segments_answer_wrong", output=output[:500])
        raise MediaTooDemanding from None


def _check(written: Segments, listening: Listening, audio: Path, peaks: Path) -> None:
    rate = listening.asset.sample_rate
    n_segments = -(-listening.n_samples // (SEGMENT_S * rate))
    counts = peak_counts(listening.n_samples, rate)
    offsets = written.offsets
    is_good = (
        len(offsets) == n_segments + 1
        and all(type(offset) is int for offset in offsets)
        and offsets[0] == 0
        and all(before < after for before, after in pairwise(offsets))
        and offsets[-1] == audio.stat().st_size
        and written.counts == counts
        and len(counts) == len(LEVELS)
        and peaks.stat().st_size == peaks_size(counts)
        and type(written.gain) is float
        and 1 <= written.gain < math.inf
    )
    if not is_good:
        log.error("segments_wrong", listening=str(listening.uuid))
        raise MediaTooDemanding
