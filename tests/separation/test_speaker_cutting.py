"""Where tracks have sound, to the sample."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from separation.speakers import Timeline, Turn
from separation.speakers.cutting import Cutter, Cutting, Piece, lengths_of, pieces_by_speaker
from separation.speakers.spans import joined, length, without

RATE = 1000  # a sample is a millisecond
PAD, FADE = 60, 20


def pieces(*turns, n_samples=10_000, mutes_overlaps=False, rate=RATE):
    timeline = Timeline(tuple(Turn(*turn) for turn in turns), n_samples / rate)
    return pieces_by_speaker(timeline, rate, n_samples, mutes_overlaps=mutes_overlaps)


def spans(found):
    return {name: [(p.start, p.end) for p in own] for name, own in found.items()}


def cut(cutting, block_size, recording):
    """All of what a cutter makes of (channels, n) samples that come in blocks."""
    cutter = Cutter(cutting)
    parts = []
    for start in range(0, recording.shape[1], block_size):
        for item in cutter.cut(recording[:, start : start + block_size], start):
            silence = isinstance(item, int)
            parts.append(np.zeros((len(recording), item)) if silence else item)
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(recording), 0))


def test_a_turn_is_padded_where_nobody_else_speaks():
    assert spans(pieces((1, 2, "A"))) == {"A": [(1000 - PAD, 2000 + PAD)]}


def test_a_pad_lets_no_other_speaker_in():
    found = pieces((1, 2, "A"), (2, 3, "B"), (3.5, 4, "A"))
    assert spans(found) == {
        "A": [(1000 - PAD, 2000), (3500 - PAD, 4000 + PAD)],
        "B": [(2000, 3000 + PAD)],
    }


def test_two_speakers_share_a_short_pause():
    found = pieces((1, 2, "A"), (2.081, 3, "B"))
    assert spans(found) == {"A": [(940, 2040)], "B": [(2041, 3060)]}


def test_one_speakers_short_pause_stays_as_it_is():
    assert spans(pieces((1, 2, "A"), (2.1, 3, "A"))) == {"A": [(940, 3060)]}
    assert spans(pieces((1, 2, "A"), (2, 3, "A"))) == {"A": [(940, 3060)]}


def test_where_three_speak_all_have_it_or_nobody():
    turns = (1, 4, "A"), (2, 5, "B"), (3, 3.5, "C")
    assert spans(pieces(*turns)) == {
        "A": [(940, 4000)],
        "B": [(2000, 5060)],
        "C": [(3000, 3500)],
    }
    assert spans(pieces(*turns, mutes_overlaps=True)) == {
        "A": [(940, 2000)],
        "B": [(4000, 5060)],
        "C": [],
    }


def test_nothing_is_faded_where_the_recording_itself_begins_or_ends():
    assert pieces((0, 2, "A"), n_samples=2000)["A"] == (Piece(0, 2000, 0, 0),)
    assert pieces((0.03, 1.5, "A"), n_samples=2000)["A"] == (Piece(0, 1560, 0, FADE),)
    assert pieces((0.5, 1.98, "A"), n_samples=2000)["A"] == (Piece(440, 2000, FADE, 0),)


def test_the_fades_of_a_short_turn_meet_in_its_middle():
    found = pieces((0, 1, "A"), (1, 1.031, "B"), (1.031, 2, "A"))
    assert found["B"] == (Piece(1000, 1031, 15, 15),)


def test_a_fade_is_a_raised_cosine_and_what_lies_between_is_untouched():
    recording = np.full((2, 3000), 0.7, np.float32)
    (track,) = pieces((1, 2, "A"), n_samples=3000).values()
    samples = cut(Cutting("A", track), 3000, recording)
    rise = np.float32(0.7) * (0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE) + 0.5) / FADE))
    np.testing.assert_array_equal(samples[:, :940], 0)
    np.testing.assert_allclose(samples[0, 940:960], rise, rtol=1e-6)
    np.testing.assert_array_equal(samples[:, 960:2040], recording[:, 960:2040])
    np.testing.assert_allclose(samples[1, 2040:2060], rise[::-1], rtol=1e-6)
    np.testing.assert_array_equal(samples[:, 2060:], 0)
    np.testing.assert_allclose(rise + rise[::-1], 0.7, rtol=1e-6)


def test_closed_pauses_are_short_and_nothing_is_before_or_behind():
    recording = np.arange(1, 5001, dtype=np.float32)[None]
    own = Piece(500, 1000, 0, 0), Piece(1100, 1200, 0, 0), Piece(3000, 4000, 0, 0)
    samples = cut(Cutting("A", own, gap=300), 700, recording)
    expected = [np.arange(501, 1001), np.zeros(100), np.arange(1101, 1201), np.zeros(300)]
    np.testing.assert_array_equal(samples[0], np.concatenate([*expected, np.arange(3001, 4001)]))


turns_of_three = st.lists(
    st.tuples(st.integers(0, 1990), st.integers(1, 400), st.sampled_from("ABC")), min_size=1
)


@given(turns_of_three, st.integers(1, 2000), st.booleans())
def test_however_it_comes_in_a_track_is_as_long_as_the_recording_and_its_own(turns, size, mutes):
    """Blocks of any size; whoever speaks alone has the very samples, others have none."""
    turns = [(start / 1000, (start + n) / 1000, name) for start, n, name in turns]
    found = pieces(*turns, n_samples=2000, mutes_overlaps=mutes)
    recording = np.random.default_rng(0).uniform(0.1, 1, (1, 2000)).astype(np.float32)
    active = {name: np.zeros(2000, bool) for name in found}
    for start, end, name in turns:
        active[name][round(1000 * start) : round(1000 * end)] = True
    for name, own in found.items():
        samples = cut(Cutting(name, own), size, recording)
        assert samples.shape == (1, 2000)
        assert (samples <= recording).all()
        others = sum((active[other] for other in found if other != name), np.zeros(2000, bool)) > 0
        assert not samples[0, others & ~active[name]].any()
        if mutes:
            assert not samples[0, others & active[name]].any()
        inner = np.zeros(2000, bool)
        for piece in own:
            inner[piece.start + piece.fade_in : piece.end - piece.fade_out] = True
        np.testing.assert_array_equal(samples[0, inner], recording[0, inner])
        audible = active[name] & ~others if mutes else active[name]
        assert (samples[0, audible] > 0).all()


@given(turns_of_three, st.integers(1, 2000))
def test_closing_pauses_keeps_every_sample_of_the_pieces(turns, size):
    found = pieces(*((s / 1000, (s + n) / 1000, name) for s, n, name in turns), n_samples=2000)
    recording = np.random.default_rng(0).uniform(0.1, 1, (1, 2000)).astype(np.float32)
    for name, own in found.items():
        kept = cut(Cutting(name, own), 2000, recording)
        closed = cut(Cutting(name, own, gap=50), size, recording)
        np.testing.assert_array_equal(closed[closed > 0], kept[kept > 0])
        gaps = [b.start - a.end for a, b in zip(own, own[1:], strict=False)]
        n = sum(p.end - p.start for p in own) + sum(min(gap, 50) for gap in gaps)
        assert closed.shape[1] == n


numbers = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)))


@given(numbers, numbers)
def test_spans_are_sets_of_numbers(these, those):
    def numbers_in(spans):
        return {n for start, end in spans for n in range(start, end)}

    assert numbers_in(joined(these)) == numbers_in(these)
    assert numbers_in(without(these, those)) == numbers_in(these) - numbers_in(those)
    assert length(without(these, those)) == len(numbers_in(these) - numbers_in(those))


def test_spans_a_little_apart_can_be_joined():
    assert joined([(0, 5), (7, 9), (12, 13)], gap=2) == [(0, 9), (12, 13)]


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 96000])
def test_times_become_samples_of_any_rate(rate):
    found = pieces((1.001, 2.999, "A"), n_samples=4 * rate, rate=rate)
    pad, fade = round(0.06 * rate), round(0.02 * rate)
    start, end = round(1.001 * rate) - pad, round(2.999 * rate) + pad
    assert found["A"] == (Piece(start, end, fade, fade),)


def test_items_say_how_long_they_are():
    assert lengths_of([5, np.zeros((2, 3), np.float32), 1]) == 9
