import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from separation.audio.overlap import Crossfade, Grid, Segmenter
from tests.separation.media import noise

SEGMENT = 1000


def segments_of(samples, grid, *, block=137):
    segmenter = Segmenter(grid, n_channels=samples.shape[0])
    for start in range(0, samples.shape[1], block):
        yield from segmenter.push(samples[:, start : start + block])
    yield from segmenter.finish()


def run(samples, process, *, overlap=0.25, shifts=1, segment=SEGMENT, block=137):
    grid = Grid(segment, overlap, shifts)
    crossfade = Crossfade(grid)
    blocks: list[np.ndarray] = []
    for piece in segments_of(samples, grid, block=block):
        blocks += crossfade.add(piece, process(piece.samples))
    return np.concatenate(blocks, axis=-1) if blocks else None


def twice(segment):
    return np.stack([segment, -0.5 * segment])


def stamped(segment):
    """Depends on the place in the segment, so that wrong alignment shows."""
    ramp = np.linspace(0.5, 1.5, segment.shape[1], dtype=np.float32)
    return np.stack([segment * ramp, segment * ramp**2])


def whole_array(samples, process, overlap, offset=0):
    """The same in the plainest way: all segments, weights, one division."""
    n = samples.shape[1]
    fade = int(overlap * SEGMENT)
    stride = SEGMENT - fade
    total = np.zeros((2, samples.shape[0], n))
    weight_sum = np.zeros(n)
    starts = [0]
    while starts[-1] + SEGMENT < n:
        starts.append(starts[-1] + (offset if len(starts) == 1 and offset else stride))
    for start, following in zip(starts, [*starts[1:], n], strict=True):
        moved = min(start, n - SEGMENT)
        stop = min(following + fade, n)
        estimate = process(samples[:, moved : moved + SEGMENT])[..., start - moved : stop - moved]
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


@pytest.mark.parametrize("n_samples", [1001, 1200, 1750, 2001, 4321])
@pytest.mark.parametrize(("overlap", "shifts"), [(0, 2), (0.25, 2), (0.1, 3), (0.5, 4)])
def test_shifts_are_the_mean_of_grids_that_start_later(n_samples, overlap, shifts):
    samples = noise(n_samples)
    stride = SEGMENT - int(overlap * SEGMENT)
    grids = [
        whole_array(samples, stamped, overlap, index * stride // shifts) for index in range(shifts)
    ]
    actual = run(samples, stamped, overlap=overlap, shifts=shifts)
    np.testing.assert_allclose(actual, np.mean(grids, axis=0), atol=1e-6)


@given(
    n_samples=st.integers(1, 500),
    segment=st.integers(2, 60),
    overlap=st.floats(0, 0.5),
    shifts=st.integers(1, 5),
    block=st.integers(1, 200),
)
def test_what_comes_back_unchanged_is_the_recording_to_the_last_bit(
    n_samples, segment, overlap, shifts, block
):
    assume(shifts <= segment - int(overlap * segment))
    samples = noise(n_samples, 1)
    options = {"overlap": overlap, "shifts": shifts, "segment": segment, "block": block}
    stems = run(samples, lambda piece: piece[None], **options)
    np.testing.assert_array_equal(stems[0], samples)


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
    np.testing.assert_array_equal(
        run(samples, stamped, block=block, shifts=2), run(samples, stamped, shifts=2)
    )


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


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [
        (1000, [0]),
        (1001, [0, 1]),
        (1375, [0, 375]),
        (1376, [0, 375, 376]),
        (1750, [0, 375, 750]),
        (2500, [0, 375, 750, 1125, 1500]),
    ],
)
def test_grids_share_the_first_and_the_last_segment(n_samples, expected):
    grid = Grid(SEGMENT, 0.25, 2)
    assert [piece.start for piece in segments_of(noise(n_samples), grid)] == expected


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


@pytest.mark.parametrize("shifts", [1, 2])
def test_buffers_do_not_grow_with_the_length(shifts):
    grid = Grid(SEGMENT, 0.25, shifts)
    segmenter, crossfade = Segmenter(grid, n_channels=2), Crossfade(grid)
    sizes = []
    for seed in range(200):
        for piece in segmenter.push(noise(777, seed=seed)):
            for _ in crossfade.add(piece, twice(piece.samples)):
                pass
        sizes.append(segmenter.nbytes + crossfade.nbytes)
    assert max(sizes) == max(sizes[:100])


@pytest.mark.parametrize("overlap", [-0.1, 0.51, 1])
def test_it_refuses_an_overlap_of_more_than_half(overlap):
    with pytest.raises(ValueError, match=r"0 to 0\.5"):
        Grid(SEGMENT, overlap)


@pytest.mark.parametrize("shifts", [0, -1, 751])
def test_it_refuses_shifts_that_do_not_fit_in_a_stride(shifts):
    with pytest.raises(ValueError, match="fit in a stride"):
        Grid(SEGMENT, 0.25, shifts)
