import numpy as np
import pytest

from separation.audio.overlap import OverlapAdd
from tests.separation.media import noise

SEGMENT = 1000


def run(samples, process, *, overlap=0.25, block=137):
    overlap_add = OverlapAdd(
        process, n_channels=samples.shape[0], segment_samples=SEGMENT, overlap=overlap
    )
    blocks: list[np.ndarray] = []
    for start in range(0, samples.shape[1], block):
        blocks += overlap_add.push(samples[:, start : start + block])
    blocks += overlap_add.finish()
    return np.concatenate(blocks, axis=-1) if blocks else None


def twice(segment):
    return np.stack([segment, -0.5 * segment])


def stamped(segment):
    """Depends on the place in the segment, so that wrong alignment shows."""
    ramp = np.linspace(0.5, 1.5, segment.shape[1], dtype=np.float32)
    return np.stack([segment * ramp, segment * ramp**2])


def whole_array(samples, process, overlap):
    """The same in the plainest way: all segments, weights, one division."""
    n = samples.shape[1]
    fade = int(overlap * SEGMENT)
    stride = SEGMENT - fade
    total = np.zeros((2, samples.shape[0], n))
    weight_sum = np.zeros(n)
    starts = [0]
    while starts[-1] + SEGMENT < n:
        starts.append(starts[-1] + stride)
    for start in starts:
        moved = min(start, n - SEGMENT)
        estimate = process(samples[:, moved : moved + SEGMENT])[..., start - moved :]
        stop = moved + SEGMENT
        weight = np.ones(stop - start)
        if start and fade:
            weight[:fade] = np.arange(1, fade + 1) / (fade + 1)
        if start != starts[-1] and fade:
            weight[-fade:] = np.arange(fade, 0, -1) / (fade + 1)
        total[..., start:stop] += estimate * weight
        weight_sum[start:stop] += weight
    np.testing.assert_allclose(weight_sum, 1, atol=1e-12)
    return total


@pytest.mark.parametrize("n_samples", [1, 2, 999, 1000, 1001, 1499, 1750, 1751, 2500, 7777])
@pytest.mark.parametrize("overlap", [0, 0.1, 0.25, 0.5])
def test_identity_comes_back_exactly_as_long(n_samples, overlap):
    samples = noise(n_samples, 3)
    stems = run(samples, twice, overlap=overlap)
    assert stems.shape == (2, 3, n_samples)
    np.testing.assert_allclose(stems, twice(samples), atol=1e-7)


@pytest.mark.parametrize("n_samples", [1000, 1001, 1750, 1751, 4321])
@pytest.mark.parametrize("overlap", [0, 0.1, 0.25, 0.5])
def test_it_equals_a_whole_array_reference(n_samples, overlap):
    samples = noise(n_samples)
    expected = whole_array(samples, stamped, overlap)
    np.testing.assert_allclose(run(samples, stamped, overlap=overlap), expected, atol=1e-6)


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_weights_are_those_of_demucs(overlap):
    n_samples = 1000 + 3 * int((1 - overlap) * SEGMENT)  # the last segment need not move
    samples = noise(n_samples)
    half = SEGMENT // 2
    triangle = np.concatenate([np.arange(1, half + 1), np.arange(SEGMENT - half, 0, -1)])
    total = np.zeros((2, 2, n_samples))
    weights = np.zeros(n_samples)
    for start in range(0, n_samples - SEGMENT + 1, int((1 - overlap) * SEGMENT)):
        part = slice(start, start + SEGMENT)
        total[..., part] += triangle * stamped(samples[:, part])
        weights[part] += triangle
    actual = run(samples, stamped, overlap=overlap)
    np.testing.assert_allclose(actual, total / weights, atol=1e-5)


@pytest.mark.parametrize("block", [1, 7, 1000, 5000])
def test_block_size_changes_nothing(block):
    samples = noise(3210)
    np.testing.assert_array_equal(run(samples, stamped, block=block), run(samples, stamped))


def test_nothing_in_is_nothing_out():
    assert run(np.zeros((2, 0), np.float32), twice) is None


@pytest.mark.parametrize(
    ("n_samples", "expected"), [(1, 1), (1000, 1), (1001, 2), (1750, 2), (1751, 3), (2500, 3)]
)
def test_no_segment_is_processed_in_vain(n_samples, expected):
    calls = []

    def count(segment):
        calls.append(segment.shape)
        return twice(segment)

    run(noise(n_samples), count)
    assert calls == [(2, SEGMENT)] * expected


def test_the_last_segment_hears_real_context():
    segments = []

    def keep(segment):
        segments.append(segment)
        return twice(segment)

    samples = noise(1800)
    run(samples, keep)
    np.testing.assert_array_equal(segments[-1], samples[:, 800:])


def test_a_short_recording_is_centred_in_zeros():
    segments = []

    def keep(segment):
        segments.append(segment)
        return twice(segment)

    samples = noise(101)
    run(samples, keep)
    expected = np.zeros((2, SEGMENT), np.float32)
    expected[:, 449:550] = samples
    np.testing.assert_array_equal(segments[0], expected)


def test_buffers_do_not_grow_with_the_length():
    overlap_add = OverlapAdd(twice, n_channels=2, segment_samples=SEGMENT, overlap=0.25)
    sizes = []
    for seed in range(200):
        for _ in overlap_add.push(noise(777, seed=seed)):
            pass
        sizes.append(overlap_add.nbytes)
    assert max(sizes) == max(sizes[:10])


@pytest.mark.parametrize("overlap", [-0.1, 0.51, 1])
def test_it_refuses_an_overlap_of_more_than_half(overlap):
    with pytest.raises(ValueError, match=r"0 to 0\.5"):
        OverlapAdd(twice, n_channels=2, segment_samples=SEGMENT, overlap=overlap)
