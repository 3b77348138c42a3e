"""Timelines as text, with whatever names people have."""

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from separation.errors import InvalidRequest
from separation.speakers import Timeline, Turn
from separation.speakers.formats import FORMATS, read_rttm, render
from separation.speakers.statistics import statistics

TALK = Timeline(
    (Turn(0, 1.5, "SPEAKER_0", 0.875), Turn(1.25, 3725.004, "SPEAKER_1")),
    duration_s=3726.0,
)
names = st.text(min_size=1, max_size=80).filter(lambda name: name.strip() and name.isprintable())
NASTY = ["=1+1", " @SUM(A1)", "-->", "<v Bob>&amp;", 'a,"b"', "Ä ö\u2028ü", "A B", "A_B", "A\tB"]


def named(*names):
    turns = tuple(Turn(float(n), n + 0.5, name) for n, name in enumerate(names))
    return Timeline(turns, duration_s=float(len(names)))


def test_rttm():
    assert render("rttm", TALK, uri="my talk") == (
        "SPEAKER my_talk 1 0.000 1.500 <NA> <NA> SPEAKER_0 <NA> <NA>\n"
        "SPEAKER my_talk 1 1.250 3723.754 <NA> <NA> SPEAKER_1 <NA> <NA>\n"
    )


def test_csv():
    assert render("csv", TALK) == (
        "start_s,end_s,duration_s,speaker,confidence\r\n"
        "0.000,1.500,1.500,SPEAKER_0,0.875\r\n"
        "1.250,3725.004,3723.754,SPEAKER_1,1.000\r\n"
    )


def test_vtt():
    assert render("vtt", TALK) == (
        "WEBVTT\n"
        "\n"
        "00:00:00.000 --> 00:00:01.500\n"
        "<v SPEAKER_0>SPEAKER_0</v>\n"
        "\n"
        "00:00:01.250 --> 01:02:05.004\n"
        "<v SPEAKER_1>SPEAKER_1</v>\n"
    )


def test_labels():
    assert render("labels", TALK) == (
        "0.000000\t1.500000\tSPEAKER_0\n1.250000\t3725.004000\tSPEAKER_1\n"
    )


def test_json_says_all_and_is_read_again():
    text = render("json", TALK, statistics=statistics(TALK))
    values = json.loads(text)
    assert [row["talk_s"] for row in values["speakers"]] == [1.5, 3723.754]
    assert values["overlaps"] == [
        {"start_s": 1.25, "end_s": 1.5, "speakers": ["SPEAKER_0", "SPEAKER_1"]}
    ]
    assert Timeline.from_json(values) == TALK


# More digits than a float has room for, but not too many for a reader of JSON.
HUGE = 10**400


@pytest.mark.parametrize(
    "change",
    [
        {"start_s": HUGE},
        {"end_s": HUGE},
        {"end_s": "2"},
        {"end_s": None},
        {"end_s": True},
        {"confidence": -HUGE},
        {"speaker": 1},
        {"speaker": None},
        {"speaker": ["Ann"]},
        {"speaker": {}},
        {"mood": "good"},
    ],
)
def test_what_is_no_turn_is_refused(change):
    turn = {"start_s": 1, "end_s": 2, "speaker": "Ann", "confidence": 1}
    assert Timeline.from_json({"turns": [turn], "duration_s": 3}).turns == (Turn(1, 2, "Ann"),)
    with pytest.raises(InvalidRequest, match="not a timeline"):
        Timeline.from_json({"turns": [{**turn, **change}], "duration_s": 3})


@pytest.mark.parametrize("duration_s", [HUGE, "3", None, [3]])
def test_a_duration_that_is_none_is_refused(duration_s):
    with pytest.raises(InvalidRequest, match="not a timeline"):
        Timeline.from_json({"turns": [], "duration_s": duration_s})


def test_an_unknown_format_is_refused_with_the_known_ones():
    with pytest.raises(InvalidRequest, match="rttm, json, csv, vtt, labels"):
        render("xml", TALK)


def test_each_format_has_its_own_extension():
    assert {form.extension for form in FORMATS.values()} == {"rttm", "json", "csv", "vtt", "txt"}


def test_rttm_is_read_as_others_write_it():
    text = (
        ";; a comment\n"
        "SPKR-INFO talk 1 <NA> <NA> <NA> unknown ann <NA> <NA>\n"
        "\n"
        "SPEAKER talk 1 0.5 1.25 <NA> <NA> ann 0.9 <NA>\n"
        "SPEAKER\ttalk\t1\t2\t1.5\t<NA>\t<NA>\tbob\n"
    )
    assert read_rttm(text) == Timeline((Turn(0.5, 1.75, "ann", 0.9), Turn(2.0, 3.5, "bob")), 3.5)


@pytest.mark.parametrize("text", ["", "SPEAKER talk 1 x 1 <NA> <NA> ann", "SPEAKER talk 1 0 1"])
def test_what_is_no_rttm_is_refused(text):
    with pytest.raises(InvalidRequest):
        read_rttm(text)


@given(st.lists(names, min_size=1, max_size=6, unique=True))
def test_any_names_survive_rttm_as_different_words(speakers):
    timeline = named(*speakers)
    back = read_rttm(render("rttm", timeline, uri="a b"))
    assert [(t.start_s, t.end_s) for t in back.turns] == [
        (t.start_s, t.end_s) for t in timeline.turns
    ]
    assert len(back.speakers) == len(speakers)


@given(st.lists(names, min_size=1, max_size=6))
def test_any_names_stay_in_their_cells_and_cues(speakers):
    timeline = named(*speakers)
    rows = list(csv.reader(io.StringIO(render("csv", timeline), newline="")))
    assert [len(row) for row in rows] == [5] * (1 + len(speakers))
    assert not any(row[3].strip().startswith(("=", "+", "-", "@")) for row in rows[1:])
    labels = render("labels", timeline).split("\n")
    assert [line.count("\t") for line in labels] == [2] * len(speakers) + [0]
    cues = render("vtt", timeline).split("\n\n")
    assert len(cues) == 1 + len(speakers)
    for cue in cues[1:]:
        times, text = cue.strip("\n").split("\n")
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} --> \d\d:\d\d:\d\d\.\d{3}", times)
        assert re.fullmatch(r"<v [^<>]*>[^<>]*</v>", text)
        assert not re.search(r"&(?!amp;|lt;|gt;)", text)


@pytest.mark.parametrize("name", NASTY)
def test_nasty_names_are_harmless_even_where_nobody_checked_them(name):
    (row,) = list(csv.reader(io.StringIO(render("csv", named(name)), newline="")))[1:]
    assert not row[3].lstrip().startswith(("=", "@"))
    assert render("labels", named(name)).count("\t") == 2
    assert render("vtt", named(name)).count("-->") == 1
    assert len(render("rttm", named(name)).split()) == 10


def test_names_that_would_be_one_word_stay_two():
    words = [line.split()[7] for line in render("rttm", named("A B", "A_B", "A_B_2")).splitlines()]
    assert words == ["A_B", "A_B_2", "A_B_2_2"]
