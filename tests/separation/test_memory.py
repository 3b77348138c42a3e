"""What is held in memory does not grow with the recording."""

import gc
import tracemalloc

import numpy as np
import pytest

from separation import separate
from separation.audio.buffer import SampleBuffer
from tests.separation.conftest import SEGMENT
from tests.separation.media import noise, write_media


def peak_bytes(path, folder, **options):
    gc.collect()
    tracemalloc.start()
    try:
        separate(path, folder, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("rate", [44100, 48000])
def test_ten_times_the_length_takes_no_more_memory(gain_engine, tmp_path, rate):
    # numpy reports its arrays to tracemalloc; FFmpeg's own buffers are of fixed size.
    peaks = {}
    for times in (1, 10):
        samples = np.tile(noise(6 * SEGMENT), times)
        path = write_media(tmp_path / f"{times}.wav", samples, rate, codec="pcm_s16le")
        del samples
        separate(path, tmp_path / "warm", stems=["vocals", "instrumental"])
        peaks[times] = peak_bytes(path, tmp_path / "out", stems=["vocals", "instrumental"])
    assert peaks[10] < 1.1 * peaks[1]
    assert peaks[10] < 40 * SEGMENT * 2 * 4


def test_the_buffer_returns_what_went_in_and_stays_small():
    buffer = SampleBuffer(2)
    random = np.random.default_rng(0)
    went_in = came_out = 0
    longest = 0
    for _ in range(2000):
        n = int(random.integers(0, 500))
        block = np.arange(went_in, went_in + n, dtype=np.float32)
        buffer.append(np.stack([block, -block]))
        went_in += n
        longest = max(longest, len(buffer))
        taken = buffer.take(min(len(buffer), int(random.integers(0, 520))))
        expected = np.arange(came_out, came_out + taken.shape[1])
        np.testing.assert_array_equal(taken, np.stack([expected, -expected]))
        came_out += taken.shape[1]
    assert went_in > 100_000
    assert buffer.nbytes <= max(4096, 2 * longest) * 2 * 4


def test_the_buffer_refuses_what_it_does_not_hold():
    buffer = SampleBuffer(1)
    buffer.append(np.zeros((1, 5), np.float32))
    with pytest.raises(IndexError):
        buffer.take(6)
    with pytest.raises(IndexError):
        buffer.peek(0, 6)
