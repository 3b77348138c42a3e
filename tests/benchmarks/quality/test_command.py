"""The command: which sets are measured, and where the figures go."""

import dataclasses
import functools
import json
import sys
from collections.abc import Iterator

import pytest

from benchmarks import songs
from benchmarks.quality import __main__ as command
from benchmarks.quality import report, runs, sets
from benchmarks.quality.pieces import Case
from benchmarks.quality.runs import Taken
from benchmarks.quality.sets import RATE, SongSet, Unavailable
from separation import catalog
from separation.catalog import measured
from separation.catalog.measured import SongSet as Described
from tests.separation.media import noise


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command on two made-up sets, the second of which ends in the middle."""
    pieces = {name: noise(RATE // 4, seed=seed) for seed, name in enumerate(("drums", "bass"))}

    def whole() -> Iterator[Case]:
        yield Case("first", pieces)
        yield Case("second", pieces)

    def broken() -> Iterator[Case]:
        yield Case("first", pieces)
        raise Unavailable("no network")

    made = [
        SongSet(Described("whole", "two songs", "real"), whole),
        SongSet(Described("broken", "one song of two", "synthetic"), broken),
    ]
    monkeypatch.setattr(command, "_FOLDER", tmp_path)
    monkeypatch.setattr(songs, "ROOT", tmp_path)
    monkeypatch.setattr(sets, "demo_set", lambda: made[0])
    monkeypatch.setattr(sets, "held_sets", lambda *, n_clips: made[1:])
    monkeypatch.setattr(runs, "roots", lambda: [catalog.model("htdemucs")])
    monkeypatch.setattr(runs, "children", list)
    monkeypatch.setattr(
        runs,
        "through_chain",
        lambda mixture, root, stems: Taken(dict.fromkeys(stems, mixture / 2), 1.0),
    )
    written = tmp_path / "measured.json"
    monkeypatch.setattr(report, "write", functools.partial(report.write, path=written))

    def call(*arguments):
        options = ["--offline", "--no-peer", *arguments]
        monkeypatch.setattr(sys, "argv", ["quality", *options])
        command.main()
        result = json.loads((tmp_path / "quality.json").read_text())
        rows = measured.parsed(written.read_text()) if written.is_file() else ()
        return result, rows

    return call


def test_a_set_that_breaks_off_is_named_and_left_out(run, capsys):
    result, rows = run()
    assert {row["set"]["name"] for row in result["rows"]} == {"whole"}
    assert {row["n"] for row in result["rows"]} == {2}
    assert rows == ()
    out, err = capsys.readouterr()
    assert "| drums " in out
    assert "broken: cannot be had: no network" in err


def test_figures_are_written_where_the_catalogue_reads_them(run):
    result, rows = run("--write", "--stems", "drums")
    assert [(one.stem, one.model, one.set.name) for one in rows] == [("drums", "htdemucs", "whole")]
    assert [dataclasses.asdict(one) for one in rows] == result["rows"]


def test_a_trial_takes_one_song_and_is_not_written(run):
    result, rows = run("--quick")
    assert result["is_trial"]
    assert {row["n"] for row in result["rows"]} == {1}
    assert rows == ()
    with pytest.raises(SystemExit):
        run("--quick", "--write")


def test_only_the_sets_that_are_named_are_measured(run):
    result, _ = run("--sets", "broken", "--quick")
    assert {row["set"]["name"] for row in result["rows"]} == {"broken"}


def test_a_set_that_nobody_knows_is_refused(run):
    with pytest.raises(SystemExit, match="There is no set nowhere; there are whole, broken"):
        run("--sets", "nowhere")
