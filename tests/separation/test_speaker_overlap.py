"""Two made voices that speak alone, then at the same time: what each track has of the other."""

import itertools

import numpy as np
import pytest

from separation.speakers import Timeline, Turn, overlap
from separation.speakers.extract import extract_speakers
from separation.speakers.overlap import SeparatedVoices
from separation.speakers.voiceprints import Spectra, learn
from tests.separation.media import noise, write_media

RATE = 16000
ALONE_S, BOTH_S = 8, 3
N_SAMPLES = (2 * ALONE_S + BOTH_S + 1) * RATE
BOTH = slice(2 * ALONE_S * RATE, (2 * ALONE_S + BOTH_S) * RATE)
TALK = Timeline((Turn(0, 8, "A"), Turn(8, 19, "B"), Turn(16, 19, "A")), duration_s=N_SAMPLES / RATE)


def spoken(pitches_hz, formants_hz, seconds, *, seed):
    """Vowels of 0.1 to 0.3 s: harmonics of a pitch under one of several formants, (n,) float32."""
    random = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    while sum(part.size for part in parts) < seconds * RATE:
        time_s = np.arange(round(random.uniform(0.1, 0.3) * RATE)) / RATE
        pitch, formant = random.uniform(*pitches_hz), random.choice(formants_hz)
        frequencies = pitch * np.arange(1, int(6000 / pitch))[:, None]
        loudness = np.exp(-(((frequencies - formant) / 600) ** 2)) + 0.05
        vowel = np.sum(loudness * np.sin(2 * np.pi * frequencies * time_s), axis=0)
        parts.append(vowel * np.sin(np.pi * time_s / time_s[-1]))
    samples = np.concatenate(parts)[: seconds * RATE]
    return (0.1 * samples / samples.std()).astype(np.float32)


@pytest.fixture(scope="module")
def voices():
    """What each of the two says, (2, n)."""
    alone, both = ALONE_S * RATE, BOTH
    said = np.zeros((2, N_SAMPLES), np.float32)
    low = spoken((90, 130), (400, 700, 1100), ALONE_S + BOTH_S, seed=1)
    high = spoken((190, 260), (900, 1700, 2600), ALONE_S + BOTH_S, seed=2)
    said[0, :alone], said[0, both] = low[:alone], low[alone:]
    said[1, alone : 2 * alone], said[1, both] = high[:alone], high[alone:]
    return said


def blocks(samples, n=5000):
    return iter(np.split(samples, range(n, samples.shape[1], n), axis=1))


def tracks_of(samples, timeline=TALK, *, n=5000):
    """Return what goes into the tracks of A and B, whole, and where it was not the recording."""
    prints = learn(blocks(samples), timeline, RATE, on_samples=lambda _: None)
    source = SeparatedVoices(timeline, prints, RATE, samples.shape[1])
    items = list(source.voices(blocks(samples, n)))
    tracks = [
        np.concatenate([others.get(name, block) for block, others in items], axis=1)
        for name in ("A", "B")
    ]
    return *tracks, [others for _, others in items if others]


def si_sdr_db(estimate, truth):
    target = (estimate @ truth) / (truth @ truth) * truth
    return 10 * np.log10((target @ target) / ((estimate - target) @ (estimate - target)))


def test_each_of_two_voices_has_less_of_the_other(voices):
    mixture = voices.sum(axis=0)
    *tracks, _ = tracks_of(mixture[None])
    for track, truth in zip(tracks, voices, strict=True):
        gained = si_sdr_db(track[0, BOTH], truth[BOTH]) - si_sdr_db(mixture[BOTH], truth[BOTH])
        assert gained > 3


def test_outside_of_overlaps_it_is_the_recording(voices):
    mixture = voices.sum(axis=0)[None]
    for track in tracks_of(mixture)[:2]:
        assert track.shape == mixture.shape
        assert np.array_equal(track[:, : BOTH.start], mixture[:, : BOTH.start])
        assert np.array_equal(track[:, BOTH.stop :], mixture[:, BOTH.stop :])
        # It begins and ends as the recording, so that nothing clicks.
        assert abs(track[0, BOTH.start] - mixture[0, BOTH.start]) < 1e-3
        assert np.abs(track).max() <= np.abs(mixture).max()


@pytest.mark.parametrize("scale", [2.0**15, 2.0**30])
def test_samples_need_be_no_fractions_of_one(voices, scale):
    """Some files have numbers of 16 or 32 bits as floats."""
    mixture = voices.sum(axis=0)[None]
    loud = tracks_of(np.float32(scale) * mixture)[:2]
    for track, expected in zip(loud, tracks_of(mixture)[:2], strict=True):
        error = track / np.float32(scale) - expected
        assert np.abs(error).max() < 0.02 * np.abs(mixture).max()


def test_blocks_and_channels_do_not_matter(voices):
    mixture = np.stack([voices.sum(axis=0)] * 2)
    first, second, _ = tracks_of(mixture, n=5000)
    again = tracks_of(mixture, n=333)
    np.testing.assert_array_equal(first, again[0])
    np.testing.assert_array_equal(second, again[1])
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_allclose(first[:1], tracks_of(mixture[:1])[0], atol=1e-6)


def test_a_long_overlap_is_made_in_parts(voices, monkeypatch):
    mixture = voices.sum(axis=0)[None]
    monkeypatch.setattr(overlap, "_LONGEST_S", 1.0)
    first, _, separated = tracks_of(mixture)
    assert [list(others) for others in separated] == [["A", "B"]] * 3
    assert first.shape == mixture.shape
    before = si_sdr_db(mixture[0, BOTH], voices[0, BOTH])
    assert si_sdr_db(first[0, BOTH], voices[0, BOTH]) - before > 3


@pytest.mark.parametrize(
    "turns",
    [
        # Too little of A alone.
        ((5, 8, "A"), (8, 19, "B"), (16, 19, "A")),
        # Three at once.
        ((0, 8, "A"), (8, 19, "B"), (16, 19, "A"), (16, 19, "C")),
        # One after the other.
        ((0, 8, "A"), (8, 19, "B")),
    ],
)
def test_else_both_have_the_recording(voices, turns):
    mixture = voices.sum(axis=0)[None]
    timeline = Timeline(tuple(Turn(*turn) for turn in turns), N_SAMPLES / RATE)
    first, second, separated = tracks_of(mixture, timeline)
    assert not separated
    assert np.array_equal(first, mixture)
    assert np.array_equal(second, mixture)


def test_overlaps_at_both_ends_and_silence_are_legal():
    samples = np.zeros((1, 20 * RATE + 7), np.float32)
    turns = Turn(0, 2, "A"), Turn(0, 8, "B"), Turn(8, 20.1, "A"), Turn(18, 20.1, "B")
    timeline = Timeline(turns, samples.shape[1] / RATE)
    for track in tracks_of(samples, timeline)[:2]:
        assert np.array_equal(track, samples)
    samples += noise(samples.shape[1], 1)
    first, _, separated = tracks_of(samples, timeline)
    assert len(separated) == 2
    assert np.isfinite(first).all()
    assert first.shape == samples.shape


def test_untouched_spectra_give_the_samples_again():
    spectra = Spectra(44100)
    samples = noise(44100, 2)
    result = spectra.samples(spectra.of(samples))
    inner = np.s_[:, spectra.window : result.shape[1] - spectra.window]
    np.testing.assert_allclose(result[inner], samples[:, : result.shape[1]][inner], atol=1e-5)


def test_tracks_can_be_had_separated(voices, tmp_path, read):
    path = write_media(tmp_path / "in.wav", voices.sum(axis=0)[None], RATE, codec="pcm_s16le")
    steps = []
    result = extract_speakers(
        path,
        tmp_path / "out",
        timeline=TALK,
        overlap="separate",
        loudness=-23.0,
        on_progress=lambda **step: steps.append(tuple(step.values())),
    )
    first = read(result.tracks["A"])[0]
    before = si_sdr_db(voices.sum(axis=0)[BOTH], voices[0, BOTH])
    assert si_sdr_db(first[BOTH], voices[0, BOTH]) - before > 3
    # One pass to learn the voices, one to measure the loudness, one to write.
    made = [step for step in steps if step[0] == "tracks"]
    assert made[0] == ("tracks", 0, 3 * N_SAMPLES)
    assert made[-1] == ("tracks", 3 * N_SAMPLES, 3 * N_SAMPLES)
    assert all(one <= two for one, two in itertools.pairwise(made))
