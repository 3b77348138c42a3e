"""Voices as training data: scores, resynthesis, the bank's files and the mixtures made of them."""

from pathlib import Path

import numpy as np
import pytest

from separation.training import sources
from separation.training.effects import RATE
from separation.training.voices import bank, scores
from separation.training.voices.bank import Line, Stack
from separation.training.voices.mixer import CLASSES, VoiceMixer
from separation.training.voices.psola import resing
from separation.training.voices.singer import FRAME_S, Manner, Syllable, _pitch_curve, _plan

N = 4 * RATE
CALM = Manner(vibrato_cents=0, vibrato_hz=5, scoop_semitones=0, drift_cents=0)


def pulses(hertz, seconds=1.0):
    """Return a voice-like sound: harmonics that fall by 6 dB an octave, all in phase."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    count = int(4000 / hertz)
    tones = [np.cos(2 * np.pi * hertz * k * time_s) / k for k in range(1, count + 1)]
    return np.asarray(0.1 * np.sum(tones, axis=0), np.float32)


def tone(hertz, seconds):
    """Return a sine."""
    phase = 2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE
    return np.asarray(0.3 * np.sin(phase), np.float32)


def strongest(samples):
    """Return the frequency of the strongest partial below 1 kHz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    hertz = np.fft.rfftfreq(samples.size, 1 / RATE)
    return float(hertz[np.argmax(spectrum * (hertz < 1000))])


def fundamental(samples):
    """Return the frequency at which a sound repeats, from its autocorrelation (60 to 500 Hz)."""
    power = np.abs(np.fft.rfft(samples, 2 * samples.size)) ** 2
    alike = np.fft.irfft(power)
    first, last = RATE // 500, RATE // 60
    return RATE / (first + int(np.argmax(alike[first:last])))


def made_up_stack(is_held=False):
    """Return two women and two men that hold one tone each."""
    lines = tuple(
        Line(gender, f"{gender}-{index}", index, 0, 60.0, index > 0)
        for gender in ("female", "male")
        for index in range(2)
    )
    tones = [tone(hertz, bank.STACK_S) for hertz in (330, 415, 165, 208)]
    return Stack(lines, is_held, np.round(np.stack(tones) * 32767).astype(np.int16))


def test_a_mixture_has_four_tracks_and_stays_below_full_scale():
    mixer = VoiceMixer("train", [made_up_stack()])
    sounding = np.zeros(len(CLASSES), bool)
    for seed in range(24):
        stems = mixer.example(np.random.default_rng(seed), N)
        assert stems.shape == (4, 2, N)
        assert stems.dtype == np.float32
        assert 0.05 < np.abs(stems.sum(axis=0)).max() < 1
        sounding |= stems.any(axis=(1, 2))
    assert sounding.all()


def test_the_same_generator_makes_the_same_mixture():
    mixer = VoiceMixer("held", [made_up_stack(), made_up_stack(is_held=True)])
    first, again, other = (mixer.example(np.random.default_rng(seed), N) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_men_and_women_stand_on_their_own_tracks():
    mixer = VoiceMixer("train", [made_up_stack()])
    for seed in range(12):
        stems = mixer.example(np.random.default_rng(seed), N)
        for track, samples in zip(CLASSES, stems.mean(axis=1), strict=True):
            if not samples.any():
                continue
            # Sung a little faster or slower, but not by half an octave.
            lies_low = strongest(samples) < 260
            assert lies_low == track.endswith("_male")


def test_backing_alone_is_wider_than_lead():
    mixer = VoiceMixer("train", [made_up_stack()])
    sides, middles = np.zeros(2), np.zeros(2)
    for seed in range(40):
        stems = mixer.example(np.random.default_rng(seed), N)
        for role in range(2):
            left, right = stems[2 * role : 2 * role + 2].sum(axis=0)
            sides[role] += np.square(left - right).sum()
            middles[role] += np.square(left + right).sum()
    assert sides[1] / middles[1] > 1.5 * sides[0] / middles[0]


def test_no_voice_is_in_both_splits():
    train, held = (sources.packages("voices", role) for role in ("train", "held"))
    names = [member for entry in held for member in entry.members]
    assert names
    for name in names:
        assert "*" not in name
        assert not any(entry.takes(name) for entry in train)
    men = {name for name in names if Path(name).stem[1] == "m"}
    assert len(men) >= 4
    assert len(set(names) - men) >= 4


def test_a_stack_comes_back_from_disk(tmp_path):
    stack = made_up_stack()
    bank.write(tmp_path / "000", stack)
    read = bank.read(tmp_path / "000")
    assert read.lines == stack.lines
    assert read.is_held is False
    np.testing.assert_array_equal(read.sound, stack.sound)


@pytest.mark.parametrize("ratio", [0.75, 1.0, 1.26, 1.5])
def test_resinging_moves_the_pitch_and_keeps_the_time(ratio):
    samples = pulses(150)
    pitch, moved = np.full(RATE, 150, np.float32), np.full(RATE, ratio, np.float32)
    made = resing(samples, RATE, pitch, moved, 1.0)
    assert made.shape == samples.shape
    assert fundamental(made) == pytest.approx(150 * ratio, rel=0.02)


def test_resinging_moves_resonances_apart_from_the_pitch():
    spectrum = np.fft.rfft(pulses(100))
    hertz = np.fft.rfftfreq(RATE, 1 / RATE)
    spoken = np.fft.irfft(spectrum / (1 + ((hertz - 1000) / 120) ** 2)).astype(np.float32)
    same = np.ones(RATE, np.float32)
    made = resing(spoken, RATE, np.full(RATE, 100, np.float32), same, 1.2)
    power = np.abs(np.fft.rfft(made)) ** 2
    above = (hertz > 500) & (hertz < 2000)
    assert hertz[above][np.argmax(power[above])] == pytest.approx(1200, abs=60)


def test_where_there_is_no_voice_resinging_changes_nothing():
    noise = np.random.default_rng(3).standard_normal(RATE).astype(np.float32)
    made = resing(noise, RATE, np.zeros(RATE, np.float32), np.full(RATE, 1.5, np.float32), 1.0)
    inner = slice(2000, -2000)
    error = np.square(made[inner] - noise[inner]).sum() / np.square(noise[inner]).sum()
    assert error < 0.01


def test_lines_are_sung_in_order_within_their_stack():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        for score in (scores.sung_line(rng), scores.held_line(rng)):
            ends = [note.start_s + note.length_s for note in score.notes]
            starts = [note.start_s for note in score.notes]
            assert all(a <= b + 1e-9 for a, b in zip(ends, starts[1:], strict=False))
            assert ends[-1] < bank.STACK_S - 1
            _plan(score.part(0, 0))  # every sound is one that the model knows


def test_a_harmony_stays_in_the_key():
    score = scores.sung_line(np.random.default_rng(5))
    for syllable in score.part(2, -1):
        for _, midi in syllable.pitches:
            assert (midi - score.root) % 12 in score.scale


def test_another_tune_keeps_words_and_rhythm():
    rng = np.random.default_rng(6)
    score = scores.sung_line(rng)
    other = score.another_tune(rng)
    words, again = (
        [(n.onset, n.vowel, n.coda, n.start_s, n.length_s) for n in one.notes]
        for one in (score, other)
    )
    assert words == again
    degrees, moved = ([n.degrees for n in one.notes] for one in (score, other))
    assert degrees != moved


def test_phonemes_last_as_long_as_their_notes():
    line = (
        Syllable("l", "ɑ", "", 1.0, 0.5, ((0.0, 60.0),), False),
        Syllable("m", "i", "n", 1.5, 1.0, ((0.0, 64.0),), True),
    )
    plan = _plan(line)
    # Pad and onset before the first beat, both notes, then comma and pad.
    until_second = sum(plan.frames[: plan.tokens.index(51)])  # the vowel of the second
    assert (until_second - plan.lead_in) * FRAME_S == pytest.approx(0.5)
    curve = _pitch_curve(line, 0.5, 120, CALM, 0)
    assert curve[60] == pytest.approx(261.6, rel=0.01)
    assert curve[110] == pytest.approx(329.6, rel=0.01)
