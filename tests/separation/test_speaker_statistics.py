"""Who speaks how much, with whom, and by what they are recognised."""

import pytest

from separation.errors import InvalidRequest
from separation.speakers import Timeline, Turn
from separation.speakers.clips import clip_spans
from separation.speakers.edits import fitted, renamed
from separation.speakers.statistics import Levels, Overlap, overlaps, statistics
from separation.speakers.track_files import file_stems


def talk(*turns, duration_s=100.0):
    return Timeline(tuple(Turn(*turn) for turn in turns), duration_s)


def test_each_speakers_part():
    rows = statistics(
        talk((0, 4, "A", 0.9), (3, 5, "B", 0.5), (6, 8, "A", 0.6), (4.5, 4.75, "C")),
        {"A": Levels(-20.0, 0.5, -18.0, 2.0)},
    )
    a, b, c = rows
    assert (a.speaker, a.turns, a.talk_s, a.longest_turn_s, a.overlap_s) == ("A", 2, 6, 4, 1)
    assert (b.turns, b.talk_s, b.overlap_s, c.overlap_s) == (1, 2, 1.25, 0.25)
    assert [row.share for row in rows] == [0.7273, 0.2424, 0.0303]
    assert a.mean_confidence == 0.8
    assert (a.rms_db, a.peak, a.lufs, a.gain_db) == (-20.0, 0.5, -18.0, 2.0)
    assert (b.rms_db, b.lufs) == (None, None)


def test_a_speakers_own_turns_that_overlap_count_once():
    (row,) = statistics(talk((0, 2, "A"), (1, 3, "A")))
    assert (row.turns, row.talk_s, row.overlap_s, row.share) == (2, 3, 0, 1)


def test_overlaps_change_with_who_speaks():
    found = overlaps(talk((0, 4, "A"), (1, 5, "B"), (2, 3, "C"), (5, 6, "A")))
    assert found == (
        Overlap(1, 2, ("A", "B")),
        Overlap(2, 3, ("A", "B", "C")),
        Overlap(3, 4, ("A", "B")),
    )
    assert overlaps(talk((0, 1, "A"), (1, 2, "B"))) == ()


def test_a_clip_is_the_longest_stretch_alone():
    spans = clip_spans(talk((0, 4, "A"), (3, 9, "B"), (20, 21, "A"), (30, 45, "A")))
    assert spans == {"A": (30_000, 40_000), "B": (4000, 9000)}


def test_among_long_stretches_the_surest_is_taken():
    assert clip_spans(talk((0, 12, "A", 0.7), (20, 31, "A", 0.9), (40, 60, "A", 0.8))) == {
        "A": (20_000, 30_000)
    }


def test_short_turns_with_nobody_between_make_one_clip():
    turns = (0, 2, "A"), (2.4, 4, "A"), (5, 6.5, "A"), (4.1, 4.9, "B")
    assert clip_spans(talk(*turns)) == {"A": (0, 4000), "B": (4100, 4900)}


def test_who_never_speaks_alone_has_a_clip_all_the_same():
    assert clip_spans(talk((0, 9, "A"), (2, 3, "B"), (5, 7, "B")))["B"] == (5000, 7000)


def test_turns_are_cut_at_the_recordings_end():
    assert fitted(talk((0, 1, "A"), (1.5, 7, "B"), (3, 4, "C")), 2.0004) == talk(
        (0, 1, "A"), (1.5, 2, "B"), duration_s=2.0
    )


@pytest.mark.parametrize(
    "turn",
    [
        (1, 1, "A"),
        (2, 1, "A"),
        (-1, 1, "A"),
        (0, float("nan"), "A"),
        ("0", 1, "A"),
        (0, 1, ""),
        (0, 1, 5),
        (0, 1, "A\nB"),
        (0, 1, "A" * 81),
        (50, 60, "A"),
    ],
)
def test_what_is_no_turn_is_refused(turn):
    timeline = Timeline((Turn(*turn),), 10.0)
    with pytest.raises(InvalidRequest):
        fitted(timeline, 10.0)


def test_renaming():
    timeline = talk((0, 1, "A"), (1, 2, "B"), (2, 3, "A"))
    assert renamed(timeline, {"A": "B", "B": "Ann"}).speakers == ("B", "Ann")
    assert renamed(timeline, {}) == timeline


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"C": "Ann"}, "no speaker named 'C'"),
        ({"A": "B"}, "the same name"),
        ({"A": " "}, "1 to 80"),
        ({"A": "x" * 81}, "1 to 80"),
        ({"A": "Ann\n"}, "1 to 80"),
    ],
)
def test_renaming_that_is_refused(names, said):
    with pytest.raises(InvalidRequest, match=said):
        renamed(talk((0, 1, "A"), (1, 2, "B")), names)


def test_file_names_are_safe_and_different():
    assert file_stems(["SPEAKER_0", "SPEAKER_1"]) == {
        "SPEAKER_0": "speaker_0",
        "SPEAKER_1": "speaker_1",
    }
    names = ["../../etc", "a/b", "A B", "a_b", "a_b_sample", "...", "CON", "Zoë", "Zoe\u0308", "王"]
    stems = list(file_stems(names).values())
    assert stems == [
        "etc", "a_b", "a_b_2", "a_b_3", "a_b_sample_2", "speaker", "con_", "zoë", "zoë_2", "王",
    ]  # fmt: skip
    assert len(file_stems(["王" * 80])["王" * 80].encode()) <= 120
