"""What is kept of a recording, with networks that are simple to foresee."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from separation.speakers import analysis
from separation.speakers.analysis import FRAME_S, PIECE_S, Analysis, _cuts, _Tape, analyse
from separation.speakers.networks import CHUNK_FRAMES, CHUNK_SAMPLES, TRUNK_SIZE, TRUNK_STRIDE
from tests.separation.media import noise

RATE = 16000


class Loud:
    """Whoever is loud is the first speaker, who is very loud the second one, and both in between.

    The trunk's rows are the features' means, so that embeddings tell which sound they are of.
    """

    plda = None

    def __init__(self, batch_size=4):
        self.batch_size = batch_size
        self.batches = []

    def segment(self, chunks):
        self.batches.append(len(chunks))
        frames = np.array_split(chunks[:, :CHUNK_SAMPLES], CHUNK_FRAMES, axis=1)
        level = np.stack([np.abs(frame).max(axis=1) for frame in frames], axis=1)
        of = np.digitize(level, [0.05, 0.2, 0.4])  # silence, first, both, second
        classes = np.array([0, 1, 4, 2])[of]
        return np.log(np.where(classes[..., None] == np.arange(7), 0.94, 0.01)).astype(np.float32)

    def trunk(self, features):
        n_rows = -(-features.shape[1] // TRUNK_STRIDE)
        padded = np.pad(features, ((0, 0), (0, n_rows * TRUNK_STRIDE - features.shape[1]), (0, 0)))
        rows = padded.reshape(1, n_rows, TRUNK_STRIDE, 80).mean(axis=2)
        return np.tile(rows, TRUNK_SIZE // 80)

    def project(self, statistics):
        return statistics[:, :256]


def talk(*parts):
    """Noise of (seconds, level) parts, (n,)."""
    return np.concatenate(
        [
            noise(round(seconds * RATE), 1, seed=number, level=level)[0]
            for number, (seconds, level) in enumerate(parts)
        ]
    )


FIRST, BOTH, SECOND, NOBODY = 0.15, 0.35, 0.9, 0.01
CONVERSATION = talk(
    (3, FIRST), (1, NOBODY), (4, SECOND), (2, BOTH), (6, FIRST), (3, NOBODY), (9.3, SECOND)
)  # fmt: skip


def analysed(samples, n=RATE, *, networks: Any = None, **options):
    blocks = [samples[at : at + n] for at in range(0, len(samples), n)]
    return heard(blocks, networks, **options)


def heard(blocks, networks: Any = None, **options):
    known: Any = Loud() if networks is None else networks
    return analyse(blocks, known, **options)


def same(one: Analysis, other: Analysis):
    for name in ("activity", "speech", "overlap", "track_of"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name in ("tracks", "pieces"):
        first, second = getattr(one, name), getattr(other, name)
        for field in first.__slots__:
            values = getattr(first, field), getattr(second, field)
            assert np.array_equal(*values, equal_nan=True), (name, field)
    assert one.duration_s == other.duration_s


@pytest.mark.parametrize("n", [777, 4000, 160_000, 10**7])
def test_it_does_not_depend_on_how_the_sound_comes(n):
    same(analysed(CONVERSATION), analysed(CONVERSATION, n))


def test_blocks_may_be_empty_or_of_one_sample():
    samples = CONVERSATION[: 2 * RATE]
    blocks = [samples[:1], samples[:0], samples[1:400], samples[400:401], samples[401:]]
    same(analysed(samples), heard(blocks))


@pytest.mark.parametrize("batch_size", [1, 3, 16, 64])
def test_it_does_not_depend_on_how_many_chunks_are_heard_at_once(batch_size):
    networks = Loud(batch_size)
    same(analysed(CONVERSATION), analysed(CONVERSATION, networks=networks))
    assert max(networks.batches) <= batch_size
    # Ten seconds, and one more chunk for each second that has begun.
    assert sum(networks.batches) == 1 + 19


@pytest.mark.parametrize(
    ("n_samples", "n_chunks"),
    [(1, 1), (399, 1), (RATE, 1), (10 * RATE, 1), (10 * RATE + 1, 2), (11 * RATE, 2),
     (11 * RATE + 1, 3)],
)  # fmt: skip
def test_there_is_a_chunk_for_each_second_after_the_first_ten(n_samples, n_chunks):
    found = analysed(CONVERSATION[:n_samples])
    assert found.activity.shape == (n_chunks, CHUNK_FRAMES, 3)
    assert found.duration_s == n_samples / RATE
    assert found.n_frames == int(np.ceil(n_samples / RATE / FRAME_S))


def test_nothing_at_all_is_a_chunk_of_silence():
    found = heard([])
    assert (found.duration_s, len(found.tracks), len(found.pieces)) == (0, 0, 0)
    assert found.speech.max() < 0.1


def test_probabilities_are_summed_over_classes():
    found = analysed(CONVERSATION)
    at = {name: round(s / FRAME_S) for name, s in
          {"first": 1, "nobody": 3.5, "second": 6, "both": 9}.items()}  # fmt: skip
    first, second, both = (found.activity[0, at[name]] for name in ("first", "second", "both"))
    assert first == pytest.approx([0.96, 0.03, 0.03], abs=2e-3)
    assert second == pytest.approx([0.03, 0.96, 0.03], abs=2e-3)
    assert both == pytest.approx([0.96, 0.96, 0.03], abs=2e-3)
    assert found.speech[0, at["nobody"]] == pytest.approx(0.06, abs=2e-3)
    assert found.overlap[0, at["both"]] == pytest.approx(0.96, abs=2e-3)
    assert found.overlap[0, at["first"]] == pytest.approx(0.03, abs=2e-3)


def test_tracks_and_pieces_say_when_who_speaks():
    found = analysed(CONVERSATION)
    tracks, pieces = found.tracks, found.pieces
    assert (tracks.chunk[0], tracks.local[0], tracks.local[1]) == (0, 0, 1)
    assert tracks.start_s[:2] == pytest.approx([0, 4], abs=0.02)
    assert tracks.end_s[:2] == pytest.approx([10, 10], abs=0.02)
    assert tracks.spoken_s[:2] == pytest.approx([5, 6], abs=0.05)
    assert tracks.alone_s[:2] == pytest.approx([3, 4], abs=0.05)
    for track in range(len(tracks)):
        mine = found.track_of == track
        assert set(pieces.chunk[mine]) == {tracks.chunk[track]}
        assert set(pieces.local[mine]) == {tracks.local[track]}
        assert pieces.spoken_s[mine].sum() == pytest.approx(tracks.spoken_s[track], abs=1e-3)
        assert pieces.spoken_s[mine].max() < 1.5 * PIECE_S
        assert pieces.first[mine][0] == 0
        assert pieces.last[mine][-1] == CHUNK_FRAMES
        assert np.array_equal(pieces.first[mine][1:], pieces.last[mine][:-1])


def test_an_embedding_is_of_what_is_said_alone():
    """Two sounds: what the first track of a chunk is made of is the first one, wherever it is."""
    quiet_s, loud_s = 5.0, 5.0
    found = analysed(talk((quiet_s, FIRST), (loud_s, SECOND)))
    first, second = found.tracks.embedding[:2].astype(np.float32)
    # The features are logarithms of power, their mean removed.
    assert second[:80].mean() - first[:80].mean() == pytest.approx(
        2 * np.log(SECOND / FIRST), abs=0.1
    )


def test_a_side_is_silent_where_it_is_not_heard():
    is_heard = np.ones(len(CONVERSATION) * 10 // RATE, bool)
    is_heard[:30] = False  # the first speaker's first three seconds
    is_heard[190:] = False
    found = analysed(CONVERSATION, is_heard=is_heard)
    assert found.speech[0, : round(2.9 / FRAME_S)].max() == 0
    assert found.tracks.start_s[0] >= 4 - 0.02
    assert found.speech[-1, round(0.2 / FRAME_S) :].max() == 0
    # After the last tenth, the last one counts.
    assert found.tracks.end_s.max() <= 16.1


def test_an_offset_makes_no_difference():
    plain, raised = analysed(CONVERSATION), analysed(CONVERSATION + np.float32(0.02))
    assert np.array_equal(plain.activity[:5], raised.activity[:5])


@pytest.mark.parametrize("seconds", [0.1, 0.7, 1.5, 2.2, 2.4, 9.9])
def test_cuts_are_of_about_one_length(seconds):
    frames = 20 + np.arange(round(seconds / FRAME_S))
    frames = frames[frames < CHUNK_FRAMES]
    cuts = _cuts(frames)
    assert cuts[0][0] == 0
    assert cuts[-1][1] == CHUNK_FRAMES
    assert [end for _, end in cuts[:-1]] == [start for start, _ in cuts[1:]]
    held = [((frames >= first) & (frames < last)).sum() for first, last in cuts]
    assert sum(held) == len(frames)
    assert max(held) - min(held) <= 1
    assert len(cuts) == max(1, round(len(frames) * FRAME_S / PIECE_S))


def test_a_tape_counts_from_the_beginning():
    tape = _Tape(())
    tape.append(np.arange(10, dtype=np.float32))
    tape.forget(4)
    tape.append(np.arange(10, 15, dtype=np.float32))
    assert tape.end == 15
    assert tape.read(4, 3).tolist() == [4, 5, 6]
    assert tape.read(12, 3).tolist() == [12, 13, 14]
    tape.forget(2)  # is gone already
    assert tape.read(4, 1).tolist() == [4]
    for first, n in ((3, 1), (14, 2)):
        with pytest.raises(IndexError):
            tape.read(first, n)
    tape.forget(100)
    assert tape.end == 15
    assert len(tape.read(15, 0)) == 0


def test_memory_does_not_grow_with_the_recording(monkeypatch):
    ends = []
    append = _Tape.append

    def watched(tape, values):
        append(tape, values)
        ends.append(tape._values.nbytes)

    monkeypatch.setattr(_Tape, "append", watched)
    peaks = []
    for repeats in (2, 5):
        ends.clear()
        analysed(np.tile(CONVERSATION, repeats))
        peaks.append(max(ends))
    assert peaks[1] <= 1.02 * peaks[0]


def test_without_rows_there_is_no_embedding():
    networks = SimpleNamespace(project=None)
    heard = np.ones((2, CHUNK_FRAMES), np.float32)
    rows = np.zeros((0, TRUNK_SIZE), np.float32)
    assert np.isnan(analysis._embeddings(heard, rows, 0.0, networks)).all()
