"""What is held in memory grows neither with the recording nor with its silence."""

import gc
import tracemalloc

import av
import numpy as np
import pytest

from separation.speakers import Timeline, Turn
from separation.speakers.extract import extract_speakers
from tests.separation.media import frame_of, noise

RATE = 8000


def write_long(path, minutes, n_channels):
    """Generated a minute at a time: noise in its first seconds, then silence."""
    minute = np.zeros((n_channels, 60 * RATE), np.float32)
    minute[:, : 10 * RATE] = noise(10 * RATE, n_channels)
    layout = {1: "mono", 8: "7.1"}[n_channels]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=RATE, layout=layout)
        for _ in range(minutes):
            frame = frame_of(minute, "s16", layout)
            frame.sample_rate = RATE
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def talk(minutes, n_speakers):
    turns = [
        Turn(60.0 * minute + 0.5 * n, 60.0 * minute + 0.5 * n + 0.6, f"S{n}")
        for minute in range(minutes)
        for n in range(n_speakers)
    ]
    return Timeline(tuple(turns), 60.0 * minutes)


def peak_bytes(path, folder, **options):
    gc.collect()
    tracemalloc.start()
    try:
        extract_speakers(path, folder, output_format="flac", **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("n_speakers", "n_channels", "loudness"), [(20, 1, None), (2, 8, None), (2, 1, -23.0)]
)
def test_ten_times_the_length_takes_no_more_memory(tmp_path, n_speakers, n_channels, loudness):
    # numpy reports its arrays to tracemalloc; FFmpeg's own buffers are of fixed size. The turns
    # are the same in both, so that what they take themselves does not count.
    peaks: dict[int, int] = {}
    for minutes in (1, 10):
        path = write_long(tmp_path / f"{minutes}.wav", minutes, n_channels)
        options = {"timeline": talk(1, n_speakers), "loudness": loudness}
        if not peaks:
            extract_speakers(path, tmp_path / "warm", **options)
        peaks[minutes] = peak_bytes(path, tmp_path / "out", **options)
    assert peaks[10] < 1.1 * peaks[1]
    # Far less than the recording, of which there are twenty tracks.
    assert peaks[10] < 0.5 * 10 * 60 * RATE * n_channels * 4
