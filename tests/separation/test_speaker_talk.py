"""Which stretches are whose, and the turns that follow, from made-up embeddings."""

from dataclasses import replace

import numpy as np
import pytest

from separation.speakers.analysis import FRAME_S, STEP_S, Analysis, Stretches, first_frame
from separation.speakers.assembly import Stretch, timeline_of, turns_of
from separation.speakers.clustering import assign, find_speakers, likeness
from separation.speakers.counting import SpeakerCount
from separation.speakers.networks import CHUNK_FRAMES
from separation.speakers.voices import are_voices

SIZE = 256
TURN_S = 2.0


def voices(n, seed=0):
    """Directions of speakers, (n, 256), of length one, about at right angles."""
    rows = np.random.default_rng(seed).standard_normal((n, SIZE))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Talk:
    """What would be heard of a talk: (start_s, end_s, speaker), who sound like `sounds`.

    Each stretch of a chunk is its speaker's sound, and `spread` of its own; 4 long.
    """

    def __init__(self, turns, sounds, *, spread=0.5, seed=1, duration_s=None):
        self.turns = turns
        self.duration_s = duration_s or max(end for _, end, _ in turns)
        self._sounds = sounds
        self._spread = spread
        self._random = np.random.default_rng(seed)

    def analysis(self):
        n_chunks = 1 + int(np.ceil(max(0, self.duration_s - 10) / STEP_S))
        activity = np.full((n_chunks, CHUNK_FRAMES, 3), 0.01, np.float16)
        tracks, pieces = [], []
        for chunk in range(n_chunks):
            locals_of: dict[int, int] = {}
            for start_s, end_s, speaker in self.turns:
                first = max(0, round((start_s - chunk * STEP_S) / FRAME_S))
                last = min(CHUNK_FRAMES, round((end_s - chunk * STEP_S) / FRAME_S))
                if last - first < 10 or (speaker not in locals_of and len(locals_of) == 3):
                    continue
                local = locals_of.setdefault(speaker, len(locals_of))
                activity[chunk, first:last, local] = 0.98
                pieces.append((chunk, local, first, last, speaker))
            for speaker, local in locals_of.items():
                mine = np.flatnonzero(activity[chunk, :, local] > 0.5)
                tracks.append((chunk, local, int(mine[0]), int(mine[-1]) + 1, speaker))
        pieces.sort()
        index = {(chunk, local): row for row, (chunk, local, *_) in enumerate(tracks)}
        track_of = [index[chunk, local] for chunk, local, *_ in pieces]
        speech = activity.max(axis=2)
        overlap = np.sort(activity, axis=2)[:, :, 1]
        return Analysis(
            duration_s=self.duration_s,
            activity=activity,
            speech=speech,
            overlap=overlap,
            tracks=self._stretches(tracks, activity),
            pieces=self._cut(self._stretches(pieces, activity), pieces),
            track_of=np.array(track_of, np.int32),
        )

    def _cut(self, stretches, places):
        """Pieces of one speaker end where the next begins: `first` to `last` leave no gap."""
        first, last = stretches.first.copy(), stretches.last.copy()
        for chunk, local in {place[:2] for place in places}:
            rows = [i for i, place in enumerate(places) if place[:2] == (chunk, local)]
            first[rows[0]], last[rows[-1]] = 0, CHUNK_FRAMES
            for one, following in zip(rows, rows[1:], strict=False):
                last[one] = first[following]
        return replace(stretches, first=first, last=last)

    def _stretches(self, places, activity):
        rows = []
        times = []
        for chunk, local, first, last, speaker in places:
            own = self._random.standard_normal(SIZE) / np.sqrt(SIZE)
            rows.append(4 * (self._sounds[speaker] + self._spread * own))
            heard = activity[chunk, first:last] > 0.5
            spoken_s = heard[:, local].sum() * FRAME_S
            alone_s = (heard[:, local] & (heard.sum(axis=1) == 1)).sum() * FRAME_S
            start_s = chunk * STEP_S + first * FRAME_S
            times.append((start_s, chunk * STEP_S + last * FRAME_S, spoken_s, alone_s))
        chunk, local, first, last = np.array([place[:4] for place in places], np.int32).T
        start_s, end_s, spoken_s, alone_s = np.array(times, np.float32).T
        return Stretches(
            chunk, local, first, last, start_s, end_s, spoken_s, alone_s,
            np.array(rows, np.float16),
        )  # fmt: skip


def in_turn(n_speakers, n_turns, *, turn_s=TURN_S, pause_s=0.3):
    return [
        (i * (turn_s + pause_s), i * (turn_s + pause_s) + turn_s, i % n_speakers)
        for i in range(n_turns)
    ]


def found(talk, **count):
    return find_speakers(talk.analysis(), SpeakerCount(**count))


@pytest.mark.parametrize("spread", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 12])
def test_those_who_sound_apart_are_told_apart(n, spread):
    sounds = voices(n)
    talk = Talk(in_turn(n, max(12, 4 * n)), sounds, spread=spread)
    speakers = found(talk)
    assert speakers.shape == (n, SIZE)
    assert np.linalg.norm(speakers, axis=1) == pytest.approx(np.ones(n), abs=1e-3)
    # Each found one is one of them, and each of them is found.
    cosines = speakers @ sounds.T
    assert sorted(cosines.argmax(axis=1)) == list(range(n))
    assert cosines.max(axis=1).min() > 0.85


def alike(analysis):
    return likeness(analysis, find_speakers(analysis, SpeakerCount()))


def test_turns_are_those_of_the_talk():
    talk = Talk(in_turn(3, 15), voices(3), spread=0.5)
    analysis = talk.analysis()
    timeline = timeline_of(turns_of(analysis, alike(analysis)), 34.2)
    assert [turn.speaker for turn in timeline.turns] == [f"SPEAKER_{i % 3}" for i in range(15)]
    for turn, (start_s, end_s, _) in zip(timeline.turns, talk.turns, strict=True):
        assert turn.start_s == pytest.approx(start_s, abs=0.05)
        assert turn.end_s == pytest.approx(end_s, abs=0.05)
        assert turn.confidence > 0.9


def test_who_interrupts_is_heard_beside_the_other():
    turns = [(0, 4, 0), (3, 6, 1), (6.6, 9, 0), (8.4, 12, 1), (12.5, 15, 0), (15.5, 18, 1)]
    analysis = Talk(turns, voices(2)).analysis()
    timeline = timeline_of(turns_of(analysis, alike(analysis)), 18)
    assert [(turn.speaker, round(turn.start_s), round(turn.end_s)) for turn in timeline.turns] == [
        ("SPEAKER_0", 0, 4),
        ("SPEAKER_1", 3, 6),
        ("SPEAKER_0", 7, 9),
        ("SPEAKER_1", 8, 12),
        ("SPEAKER_0", 12, 15),
        ("SPEAKER_1", 16, 18),
    ]


@pytest.mark.parametrize(
    ("count", "n"),
    [
        ({}, 4),
        *(({"exact": n}, n) for n in (1, 2, 3, 4, 6)),
        ({"maximum": 3}, 3),
        ({"maximum": 9}, 4),
        ({"minimum": 5}, 5),
        ({"minimum": 2}, 4),
        ({"minimum": 1, "maximum": 2}, 2),
    ],
)
def test_a_number_that_is_known_is_kept(count, n):
    assert len(found(Talk(in_turn(4, 24), voices(4)), **count)) == n


def test_more_than_there_are_stretches():
    talk = Talk([(0, 2, 0)], voices(1), duration_s=3)
    assert len(found(talk, exact=20)) == 1
    assert len(found(talk, minimum=3)) == 1


def test_two_who_sound_alike_are_two_where_they_speak_at_once():
    """What the segmentation says of one chunk counts beside the embeddings."""
    one, other = voices(2)
    alike = np.stack([one, 0.75 * one + 0.66 * other])
    at_once = in_turn(2, 16)  # a chunk has both of them
    n = len(found(Talk(at_once, alike, spread=0.3)))
    far_apart = [(i * 12.0, i * 12.0 + TURN_S, i % 2) for i in range(16)]
    assert (n, len(found(Talk(far_apart, alike, spread=0.3)))) == (2, 1)


@pytest.mark.parametrize("seed", range(3))
def test_equal_stretches_are_one_speaker_and_always_the_same(seed):
    talk = Talk(in_turn(1, 10), voices(1, seed), spread=0.0)
    speakers = found(talk)
    assert len(speakers) == 1
    assert np.array_equal(speakers, found(talk))


def test_nobody_is_no_speaker():
    analysis = Talk([(0, 2, 0)], voices(1)).analysis()
    empty = np.zeros(0, np.int32)
    unheard, silent = empty.astype(np.float32), np.zeros((0, SIZE), np.float16)
    none = Stretches(empty, empty, empty, empty, unheard, unheard, unheard, unheard, silent)
    nobody = replace(analysis, tracks=none, pieces=none, track_of=empty)
    assert find_speakers(nobody, SpeakerCount()).shape == (0, SIZE)
    assert find_speakers(nobody, SpeakerCount(exact=3)).shape == (0, SIZE)


def test_stretches_without_an_embedding_do_no_harm():
    analysis = Talk(in_turn(2, 12), voices(2)).analysis()
    analysis.pieces.embedding[::5] = np.nan
    speakers = find_speakers(analysis, SpeakerCount())
    assert len(speakers) == 2
    assert np.isfinite(speakers).all()
    assert {turn.speaker for turn in turns_of(analysis, likeness(analysis, speakers))} == {0, 1}


def test_what_the_networks_hardly_answer_to_is_no_voice():
    analysis = Talk(in_turn(2, 12), voices(2)).analysis()
    speakers = find_speakers(analysis, SpeakerCount())
    assert are_voices(analysis, likeness(analysis, speakers)).tolist() == [True, True]
    second = analysis.pieces.embedding.astype(np.float32) @ speakers.T
    analysis.pieces.embedding[second.argmax(axis=1) == 1] *= np.float16(0.25)
    assert are_voices(analysis, likeness(analysis, speakers)).tolist() == [True, False]


def test_voices_heard_at_once_are_different_people():
    likeness = np.array([[0.9, 0.8], [0.8, 0.1]], np.float32)
    assert assign(likeness, np.ones(2, np.float32)) == [(0, 1), (1, 0)]
    # One that is hardly heard does not push the other away.
    assert assign(likeness, np.array([5, 0.1], np.float32)) == [(0, 0), (1, 1)]
    # Of three voices and two speakers, one is left over.
    assert len(assign(np.eye(3, 2, dtype=np.float32), np.ones(3, np.float32))) == 2


def test_names_are_by_who_speaks_first():
    n = 100
    stretches = [Stretch(5, 0, n, 0.9), Stretch(2, n, 2 * n, 0.5), Stretch(5, 2 * n, 3 * n, 0.7)]
    timeline = timeline_of(stretches, 4.0)
    assert [turn.speaker for turn in timeline.turns] == ["SPEAKER_0", "SPEAKER_1", "SPEAKER_0"]
    assert timeline.turns[1].start_s == round(n * FRAME_S, 3)
    assert timeline.turns[1].confidence == 0.5


def test_no_turn_ends_after_the_recording():
    timeline = timeline_of([Stretch(0, 0, 1000, 1.0), Stretch(1, 900, 1000, 1.0)], 10.0)
    assert [(turn.start_s, turn.end_s) for turn in timeline.turns] == [(0, 10.0)]


def test_frames_of_chunks_are_those_of_the_recording():
    assert [first_frame(chunk) for chunk in (0, 1, 10)] == [0, 59, 589]
