"""`speakers` on the command line, with turns that are given."""

import json

import numpy as np
import pytest

from separation import cli
from separation.speakers import Timeline, Turn, diarization
from tests.separation.media import noise, write_media

RATE = 8000
RTTM = (
    "SPEAKER talk 1 0.5 1.5 <NA> <NA> SPEAKER_0 <NA> <NA>\n"
    "SPEAKER talk 1 2 1 <NA> <NA> SPEAKER_1 <NA> <NA>\n"
    "SPEAKER talk 1 3 0.5 <NA> <NA> SPEAKER_2 <NA> <NA>\n"
)


@pytest.fixture
def recording(tmp_path):
    return write_media(tmp_path / "my talk.wav", noise(4 * RATE, 1), RATE, codec="pcm_s16le")


@pytest.fixture
def run(recording, tmp_path, capsys):
    """Run `speakers` on the recording; return its status, its output and what it said."""
    turns = tmp_path / "turns.rttm"
    turns.write_text(RTTM)

    def run_command(*arguments, timeline=turns):
        given = ["--timeline", str(timeline)] if timeline else []
        command = ["speakers", str(recording), "-o", str(tmp_path / "out"), *given, *arguments]
        status = cli.main(command)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run_command


def test_it_prints_one_json_object(run, tmp_path):
    status, said, progress = run("--json")
    assert status == 0
    result = json.loads(said.splitlines()[-1])
    assert result["turns"][:2] == [
        {"start_s": 0.5, "end_s": 2.0, "speaker": "SPEAKER_0", "confidence": 1.0},
        {"start_s": 2.0, "end_s": 3.0, "speaker": "SPEAKER_1", "confidence": 1.0},
    ]
    out = tmp_path / "out"
    assert result["tracks"] == {f"SPEAKER_{n}": str(out / f"speaker_{n}.wav") for n in range(3)}
    assert result["rttm"] == result["files"]["rttm"] == str(out / "timeline.rttm")
    assert (out / "timeline.rttm").read_text().startswith("SPEAKER my_talk 1 0.500 1.500 ")
    assert [row["talk_s"] for row in result["speakers"]] == [1.5, 1.0, 0.5]
    assert (result["sample_rate"], result["n_samples"]) == (RATE, 4 * RATE)
    assert result["seconds"] > 0
    lines = progress.splitlines()
    assert lines[:2] == ["probe", "tracks 0 %"]
    assert lines[-1] == "tracks 100 %"


def test_it_prints_a_table(run):
    status, said, _ = run("--rename", "SPEAKER_0=Ann Lee", "--merge", "SPEAKER_1,SPEAKER_2")
    assert status == 0
    head, ann, other, *paths = said.splitlines()
    assert head.split()[:4] == ["speaker", "turns", "talking", "share"]
    assert ann.split()[:6] == ["Ann", "Lee", "1", "1.5", "s", "50%"]
    assert other.split()[:5] == ["SPEAKER_1", "1", "1.5", "s", "50%"]
    assert [path.rsplit("/")[-1] for path in paths] == [
        "ann_lee.wav", "speaker_1.wav",
        "timeline.rttm", "timeline.json", "timeline.csv", "timeline.vtt", "timeline.txt",
    ]  # fmt: skip


def test_what_it_wrote_it_reads(run, tmp_path):
    assert run()[0] == 0
    kept = json.loads((tmp_path / "out/timeline.json").read_text())
    status, said, _ = run("--json", timeline=tmp_path / "out/timeline.json")
    assert status == 0
    assert json.loads(said)["turns"] == kept["turns"]


def test_options_reach_the_tracks(run, read):
    options = ["--pauses", "close", "--overlap", "mute", "--format", "flac", "--loudness", "-30"]
    _, said, _ = run("--json", *options)
    result = json.loads(said.splitlines()[-1])
    track = read(result["tracks"]["SPEAKER_0"])
    assert result["tracks"]["SPEAKER_0"].endswith("speaker_0.flac")
    assert track.shape[1] == round(1.56 * RATE)
    assert result["speakers"][0]["gain_db"] < -5
    assert np.abs(track).max() < 0.15


def test_numbers_of_speakers_reach_the_search(run, monkeypatch):
    asked = {}

    def diarize(input, **options):
        asked.update(options)
        return Timeline((Turn(0, 1, "SPEAKER_0"),), 4.0)

    monkeypatch.setattr(diarization, "diarize", diarize)
    limits = ["--num-speakers", "3", "--min-speakers", "2", "--max-speakers", "4"]
    status, _, _ = run(*limits, "--model", "pyannote-wespeaker", timeline=None)
    assert status == 0
    assert asked["count"] == diarization.SpeakerCount(3, 2, 4)
    assert asked["model"] == "pyannote-wespeaker"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"turns": 5, "duration_s": 1}', "\xff", "[" * 100_000]
)
def test_what_is_no_timeline_is_one_sentence(run, tmp_path, content):
    path = tmp_path / "bad.json"
    path.write_text(content, encoding="latin-1")
    status, said, complaint = run(timeline=path)
    assert (status, said) == (1, "")
    assert complaint.startswith("stemwright: ")
    assert "not a timeline" in complaint
    assert not (tmp_path / "out").exists()


def test_a_speaker_that_there_is_not_is_one_sentence(run):
    status, _, complaint = run("--rename", "SPEAKER_7=Ann")
    assert status == 1
    assert complaint.splitlines()[-1] == "stemwright: There is no speaker named 'SPEAKER_7'."
