"""Made-up analyses: what is found in what the networks might have heard, without them."""

import itertools
from unittest import mock

import numpy as np
import pytest

from separation.speakers import clustering
from separation.speakers.analysis import FRAME_S, Analysis, Stretches
from separation.speakers.assembly import timeline_of, turns_of
from separation.speakers.clustering import find_speakers
from separation.speakers.counting import SpeakerCount
from separation.speakers.networks import CHUNK_FRAMES
from separation.speakers.vbx import Plda, vbx

SIZE = 256


def sounds(n, seed=0):
    """How n speakers sound, (n, 256): nothing alike."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(SIZE, n)))[0].T


def analysis_of(chunks, voices, *, noise=0.02):
    """What was heard: for each chunk up to three (speaker, first, last) of its frames."""
    random = np.random.default_rng(1)
    activity = np.zeros((len(chunks), CHUNK_FRAMES, 3), np.float16)
    tracks, pieces, track_of, embeddings = [], [], [], []
    for number, heard in enumerate(chunks):
        for local, (speaker, first, last) in enumerate(heard):
            activity[number, first:last, local] = 1
            crowd = activity[number].sum(axis=1)
            alone_s = float((crowd[first:last] == 1).sum()) * FRAME_S
            times = (number + first * FRAME_S, number + last * FRAME_S, (last - first) * FRAME_S)
            tracks.append((number, local, 0, CHUNK_FRAMES, *times, alone_s))
            pieces.append(tracks[-1])
            track_of.append(len(tracks) - 1)
            embeddings.append(voices[speaker] + noise * random.normal(size=SIZE))
    n_speaking = activity.sum(axis=2)
    return Analysis(
        duration_s=len(chunks) + 9.0,
        activity=activity,
        speech=(n_speaking > 0).astype(np.float16),
        overlap=(n_speaking > 1).astype(np.float16),
        tracks=stretches(tracks, embeddings),
        pieces=stretches(pieces, embeddings),
        track_of=np.array(track_of, np.int32),
    )


def stretches(rows, embeddings):
    columns = np.array(rows, np.float32).reshape(-1, 8).T
    chunk, local, first, last = columns[:4].astype(np.int32)
    start_s, end_s, spoken_s, alone_s = columns[4:]
    embedding = np.array(embeddings, np.float16).reshape(-1, SIZE)
    return Stretches(chunk, local, first, last, start_s, end_s, spoken_s, alone_s, embedding)


def found(analysis, plda=None, **count):
    """The timeline, and how its speakers sound."""
    speakers = find_speakers(analysis, SpeakerCount(**count), plda=plda)
    return timeline_of(
        turns_of(analysis, clustering.likeness(analysis, speakers)), analysis.duration_s
    ), speakers


def likeness(speakers, voices):
    """For each of the true voices that of the most alike speaker."""
    return (voices @ speakers.T).max(axis=1)


def in_turn(n_chunks, n_speakers):
    """Two speakers of `n_speakers` in each chunk, one after the other."""
    pairs = itertools.cycle(itertools.permutations(range(n_speakers), 2))
    return [[(a, 0, 290), (b, 300, 589)] for _, (a, b) in zip(range(n_chunks), pairs, strict=False)]


def aside(n_chunks, length=5):
    """A third voice in the background of a few chunks in a row, then pauses of as many."""
    chunks = in_turn(n_chunks, 2)
    for number, heard in enumerate(chunks):
        if number // length % 2:
            # The same second in each of them: what is left over of it is one voice.
            first = 400 - round(number % length / FRAME_S)
            heard.append((2, first, first + 60))
    return chunks


def test_who_is_only_heard_beside_others_is_found_too():
    voices = sounds(3)
    timeline, speakers = found(analysis_of(aside(60), voices))
    assert len(timeline.speakers) == 3
    assert likeness(speakers, voices).min() > 0.8


def test_a_voice_is_compared_with_those_that_are_near_only(monkeypatch):
    counts = {}
    is_same = clustering._Voice.is_same
    for n_chunks in (100, 400):
        compared = mock.Mock(side_effect=is_same)
        monkeypatch.setattr(
            clustering._Voice, "is_same", lambda *given, compared=compared: compared(*given)
        )
        clustering._strangers(analysis_of(aside(n_chunks), sounds(3)), sounds(3)[:2])
        counts[n_chunks] = compared.call_count
    assert 0 < counts[400] < 6 * counts[100]


def test_a_voice_that_goes_on_is_one():
    always = [[*heard, (2, 0, 589)] for heard in in_turn(50, 2)]
    [(seconds, weight, sound)] = clustering._strangers(
        analysis_of(always, sounds(3)), sounds(3)[:2]
    )
    assert seconds == pytest.approx(59, abs=0.1)
    assert weight > 0
    assert sound @ sounds(3)[2] > 0.9


def test_what_sounds_like_nothing_is_nobodys():
    """Speech of which no row of the trunk is left has no embedding."""
    analysis = analysis_of(in_turn(40, 2), sounds(2))
    analysis.pieces.embedding[::3] = np.nan
    analysis.tracks.embedding[::5] = np.nan
    timeline, speakers = found(analysis)
    assert len(timeline.speakers) == 2
    assert np.isfinite(speakers).all()
    analysis.pieces.embedding[:] = np.nan
    assert find_speakers(analysis, SpeakerCount(exact=2)).shape == (0, SIZE)


@pytest.mark.parametrize("at_once", [1, 7, 100_000])
def test_how_much_is_taken_at_a_time_changes_nothing(monkeypatch, at_once):
    analysis = analysis_of(aside(30), sounds(3))
    expected = found(analysis)[0]
    monkeypatch.setattr("separation.speakers.clustering._AT_ONCE", at_once)
    assert found(analysis)[0] == expected


@pytest.fixture
def plda():
    """A space as it is, in which speakers' means vary as much as their own embeddings do."""
    return Plda(
        center=np.zeros(SIZE),
        lda=np.eye(SIZE)[:, :64],
        lda_center=np.zeros(64),
        mean=np.zeros(64),
        transform=np.eye(64),
        between=np.full(64, 20.0),
    )


def test_clusters_are_refined_where_there_is_a_plda(plda, monkeypatch):
    refined = mock.Mock(side_effect=vbx)
    monkeypatch.setattr(clustering, "vbx", refined)
    voices = np.zeros((3, SIZE))
    voices[:, :64] = np.random.default_rng(0).normal(size=(3, 64)) / 8
    analysis = analysis_of(in_turn(60, 3), voices)
    timeline, speakers = found(analysis, plda)
    assert refined.call_count == 1
    assert len(timeline.speakers) == 3
    unit = voices / np.linalg.norm(voices, axis=1, keepdims=True)
    assert likeness(speakers, unit).min() > 0.8
    assert len(found(analysis, plda, exact=2)[0].speakers) == 2
    assert refined.call_count == 1
    # Each side of a call may have half of all.
    assert len(found(analysis, plda, maximum=10)[0].speakers) == 3
    assert len(found(analysis, plda, maximum=2)[0].speakers) == 2
    assert refined.call_count == 3
