"""From how much each moment is like a beat to beats and their tempo."""

import numpy as np
import pytest

from separation import catalog
from separation.music import beat_tracking
from separation.music.beat_network import BeatNetwork
from separation.music.beat_tracking import Beat, BeatTracker
from separation.music.tempo import Tempo, TempoFinder, tempo_of
from tests.separation.music.sounds import RATE, clicks, noise, pieces


def activations(beats, n):
    values = np.full(n, 0.02, np.float32)
    values[list(beats)] = 0.95
    return values


def tracked(values, n=1000):
    tracker = BeatTracker()
    beats = [beat for block in pieces(values, n) for beat in tracker.push(block)]
    return beats + tracker.finish()


def tempo(samples, n=20_000):
    finder = TempoFinder(BeatNetwork(catalog.tool("beatnet")))
    for block in pieces(samples, n):
        finder.push(block)
    return finder.finish()


@pytest.mark.parametrize("step", [28, 33, 50, 63, 80, 109])
def test_even_beats_are_found_to_the_frame(step):
    beats = range(40, 3000, step)
    found = [beat.frame for beat in tracked(activations(beats, 3000))]
    assert set(beats) <= set(found)
    # What is before the first one is filled up.
    assert len(found) - len(beats) <= 2


def test_a_beat_that_is_missing_is_filled_in():
    beats = list(range(20, 2000, 50))
    found = [beat.frame for beat in tracked(activations(beats[:10] + beats[11:], 2000))]
    assert min(abs(frame - beats[10]) for frame in found) <= 3


def test_it_follows_music_that_becomes_faster():
    frames, at, step = [], 30.0, 60.0
    while at < 6000:
        frames.append(round(at))
        at += step
        step *= 0.995
    found = np.array([beat.frame for beat in tracked(activations(frames, 6000))])
    missed = [frame for frame in frames if np.abs(found - frame).min() > 2]
    assert len(missed) <= 2


def test_beats_do_not_depend_on_when_they_are_given(monkeypatch):
    random = np.random.default_rng(2)
    beats = np.cumsum(random.integers(47, 54, 240)) + 10
    values = activations(beats, int(beats[-1]) + 50) * random.uniform(0.3, 1, int(beats[-1]) + 50)
    often = tracked(values.astype(np.float32), 77)
    monkeypatch.setattr(beat_tracking, "_LOOK_EVERY", 10**9)
    assert often == tracked(values.astype(np.float32))
    assert len(often) == pytest.approx(240, abs=3)


def test_nothing_has_no_beats():
    assert BeatTracker().finish() == []


@pytest.mark.parametrize("bpm", [72, 93, 120, 146, 168])
def test_the_tempo_of_a_click_track_is_exact(bpm):
    times = np.arange(0.3, 20, 60 / bpm)
    found = tempo(clicks(times, 20))
    assert found.bpm == pytest.approx(bpm, rel=0.005)
    assert found.min_bpm == pytest.approx(bpm, rel=0.01)
    assert found.max_bpm == pytest.approx(bpm, rel=0.01)
    assert found.confidence > 0.5
    near = [np.abs(np.array(found.beats_s) - time_s).min() for time_s in times[3:-1]]
    assert max(near) < 0.05


def test_a_tempo_that_changes_is_told_by_its_least_and_most():
    slow, fast = np.arange(0.3, 20, 60 / 90), np.arange(20, 40, 60 / 110)
    found = tempo(clicks([*slow, *fast], 40))
    assert found.min_bpm == pytest.approx(90, rel=0.02)
    assert found.max_bpm == pytest.approx(110, rel=0.02)
    assert 95 < found.bpm < 105


def hum():
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(10 * RATE) / RATE)).astype(np.float32)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(10 * RATE, np.float32), noise(10), hum(), noise(0.5), np.zeros(0, np.float32)],
    ids=["silence", "noise", "hum", "half a second", "nothing"],
)
def test_what_has_no_beat_has_no_tempo(samples):
    assert tempo(samples) == Tempo()


def test_silence_after_the_music_has_no_beats():
    found = tempo(np.concatenate([clicks(np.arange(0.3, 12, 0.5), 12), np.zeros(12 * RATE)]))
    assert found.bpm == pytest.approx(120, rel=0.005)
    assert max(found.beats_s) < 16


def test_half_beats_that_are_much_weaker_are_left_out():
    seconds = np.full(30, 5.0)  # a twentieth of what could be
    beats = [Beat(40 * n, 0.9 if n % 2 else 0.3) for n in range(70)]
    found = tempo_of(beats, seconds)
    assert found.bpm == 75
    assert found.beats_s[:2] == (0.4, 1.2)
    even = tempo_of([Beat(40 * n, 0.9 if n % 2 else 0.6) for n in range(70)], seconds)
    assert even.bpm == 150
    slow = tempo_of([Beat(60 * n, 0.9 if n % 2 else 0.3) for n in range(50)], seconds)
    assert slow.bpm == 100
