"""The arithmetic of the comparison; what it measures needs a quiet machine and minutes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.engine import cascade, contestant, floor, report
from benchmarks.engine.contestant import Work
from benchmarks.engine.figures import ratios, row
from benchmarks.engine.floor import Operations, Peaks
from benchmarks.engine.runs import Contestant, ContestantFailed, Run, run
from benchmarks.songs import read
from separation import catalog
from separation.audio.overlap import Grid, Segmenter
from tests.separation.media import noise, write_media


def make_run(wall_s, cpu_s=1.0, peak_mb=10.0, load_s=1.0):
    return Run("some", load_s=load_s, wall_s=wall_s, cpu_s=cpu_s, peak_mb=peak_mb, stems={})


def make_row(**changes):
    values = {
        "backend": "some",
        "preset": "fast",
        "audio_s": 10.0,
        "runs": [make_run(2.0, 4.0, 100), make_run(8.0, 5.0, 300), make_run(4.0, 6.0, 200)],
        "peers": [make_run(8.0, 8.0), make_run(8.0, 5.0), make_run(20.0, 9.0)],
        "sdr_db": [9.0, 7.0],
        "fidelity_db": 43.21,
        "floor_s": 1.0,
    }
    return row(**{**values, **changes})


def test_each_round_is_compared_with_the_peer_of_the_same_round():
    assert ratios([8, 8, 20], [2, 8, 4]) == [4, 1, 5]
    with pytest.raises(ValueError, match="shorter"):
        ratios([8, 8], [2])


def test_a_row_holds_medians_ranges_and_the_highest_peak():
    made = make_row()
    assert (made["wall_ratio_to_peer"], made["wall_ratio_range"]) == (4, [1, 5])
    assert made["cpu_ratio_to_peer"] == 1.5
    assert (made["wall_s_per_s"], made["wall_s_per_s_range"]) == (0.4, [0.2, 0.8])
    assert made["cpu_s_per_s"] == 0.5
    assert (made["sdr_db"], made["sdr_range_db"]) == (8, [7, 9])
    assert made["fidelity_db"] == 43.2
    assert made["peak_mb"] == 300
    assert (made["floor_wall_s_per_s"], made["share_of_floor"]) == (0.1, 0.25)


def test_the_peer_has_no_fidelity():
    assert make_row(fidelity_db=None)["fidelity_db"] is None


@pytest.mark.parametrize("n_samples", [0, 1, 99, 100, 101, 175, 176, 1000])
@pytest.mark.parametrize(("overlap", "shifts"), [(0, 1), (0.25, 1), (0.25, 2), (0.5, 3)])
def test_segments_are_counted_as_they_are_cut(n_samples, overlap, shifts):
    grid = Grid(segment=100, overlap=overlap, shifts=shifts)
    segmenter = Segmenter(grid, n_channels=1)
    cut = [*segmenter.push(np.zeros((1, n_samples), np.float32)), *segmenter.finish()]
    assert floor.n_segments(grid, n_samples) == len(cut)


def test_rounding_leaves_the_outermost_layers_alone():
    operations, peaks = Operations(outer=20, inner=80), Peaks(f32=10, bf16=40)
    assert floor.floor_s(operations, peaks, rounds=False) == 10
    assert floor.floor_s(operations, peaks, rounds=True) == 4
    assert peaks.or_better(Peaks(f32=5, bf16=50)) == Peaks(f32=10, bf16=50)


class SmallNetwork(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.ModuleList([torch.nn.Conv1d(2, 6, 3, groups=2)])
        self.attention = torch.nn.MultiheadAttention(6, 2, batch_first=True)
        self.linear = torch.nn.Linear(6, 5)
        self.back = torch.nn.ConvTranspose1d(5, 2, 4, stride=2)

    def forward(self, x):
        x = self.encoder[0](x).transpose(1, 2)  # (1, 8, 6)
        x = self.attention(x, x, x)[0]
        return self.back(self.linear(x).transpose(1, 2))


def test_operations_are_counted_with_those_of_attention():
    counted = floor.count(SmallNetwork().eval(), torch.zeros(1, 2, 10))
    # 8 places, 6 channels, kernels of 3 over half of 2 channels.
    assert counted.outer == 2 * 8 * 6 * 3
    attention = 4 * (2 * 8 * 6 * 6) + 2 * (2 * 8 * 8 * 6)
    linear, back = 2 * 8 * 6 * 5, 2 * 8 * 5 * 2 * 4
    assert counted.inner == attention + linear + back
    assert counted.total == counted.outer + counted.inner


def test_counting_leaves_nothing_behind():
    network = SmallNetwork().eval()
    floor.count(network, torch.zeros(1, 2, 10))
    assert not any(module._forward_hooks for module in network.modules())


def test_a_table_is_aligned():
    columns = {"name": lambda row: row["name"], "n": lambda row: str(row["n"])}
    made = report.table(columns, [{"name": "a", "n": 100}, {"name": "longer", "n": 1}])
    assert made.splitlines() == [
        "| name   | n   |",
        "|--------|-----|",
        "| a      | 100 |",
        "| longer | 1   |",
    ]


def make_result(**changes):
    values = {
        "machine": "One, 2 cores",
        "system": "Linux",
        "date": "2026-01-02",
        "commit": "abc",
        "versions": {"torch": "2"},
        "load_average_before": 0.1,
        "floor": {
            "operations_per_segment": {"outer": 25e9, "inner": 310e9},
            "peak_operations_per_s": {"f32": 190e9, "bf16": 430e9},
        },
        "rows": [make_row(), make_row(backend="demucs", fidelity_db=None)],
    }
    return {**values, **changes}


def test_results_are_shown_with_machine_and_date():
    shown = report.text("engine", make_result())
    assert "| 4.00 (1.00–5.00) |" in shown
    assert "| 43.2 " in shown
    assert "2026-01-02, One, 2 cores" in shown
    assert "335 billion operations" in shown


def test_the_document_gets_new_results_between_its_marks(tmp_path):
    document = tmp_path / "performance.md"
    marks = "".join(
        f"<!-- {name}: begin -->\nold\n<!-- {name}: end -->\n" for name in ["engine", "gpu"]
    )
    document.write_text(f"before\n{marks}after\n")
    (tmp_path / "engine.json").write_text(json.dumps(make_result()))
    for _ in range(2):  # a second time changes nothing
        report.write_docs(tmp_path, document)
        written = document.read_text()
        assert written.count("335 billion") == 1
        assert written.count("old") == 1
        assert (written[:7], written[-6:]) == ("before\n", "after\n")


def test_a_trial_does_not_get_into_the_document(tmp_path):
    document = tmp_path / "performance.md"
    document.write_text("<!-- engine: begin -->\nold\n<!-- engine: end -->\n")
    (tmp_path / "engine.json").write_text(json.dumps(make_result(is_trial=True)))
    report.write_docs(tmp_path, document)
    assert "old" in document.read_text()


def test_a_document_without_marks_is_refused():
    with pytest.raises(ValueError, match="no marks for 'engine'"):
        report.replaced("text", "engine", "new")


def test_work_survives_the_way_to_its_process():
    work = Work("some", None, ("a.wav", "b.wav"), "out", "fast", "keep", "cpu", 3, ("a", "b"))
    assert Work.from_json(work.to_json()) == work


def test_many_stems_are_compared_with_four_of_the_same_round():
    runs = {
        "four": [make_run(10.0), make_run(20.0), make_run(12.0)],
        "twelve": [make_run(25.0, 6.0, 30), make_run(40.0, 8.0, 20), make_run(36.0, 7.0, 10)],
    }
    passes = {"four": ["one"], "twelve": ["one", "two"]}
    sets = {"four": ("a",) * 4, "twelve": ("a",) * 12}
    four, twelve = cascade.rows(runs, passes, sets, audio_s=100.0)
    assert (four["wall_ratio"], four["wall_ratio_range"]) == (1, [1, 1])
    assert (twelve["wall_ratio"], twelve["wall_ratio_range"]) == (2.5, [2, 3])
    assert (twelve["files"], twelve["models"], twelve["peak_mb"]) == (12, ["one", "two"], 30)
    assert (twelve["wall_s_per_s"], twelve["cpu_s_per_s"]) == (0.36, 0.07)
    result = make_result(rows=[four, twelve], audio_s=100.0, rounds=3)
    assert "2.50 (2.00–3.00)" in report.text("cascade", result)


def test_a_set_that_cannot_be_made_is_not_measured(monkeypatch):
    monkeypatch.setattr("separation.catalog.models", lambda: ())
    with pytest.raises(SystemExit):
        cascade.models_of(["vocals"])


def test_the_models_of_a_set_are_those_of_its_plan():
    assert cascade.models_of(catalog.stem_set("four-stems").stems) == ["htdemucs"]


def test_memory_and_time_count_processes_that_were_started():
    waiting = "import sys; x = bytearray(64 << 20); print(flush=True); sys.stdin.read()"
    before_mb, before_s = contestant.peak_mb(), contestant.cpu_s()
    command = [sys.executable, "-c", waiting]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as child:
        assert child.stdout
        assert child.stdin
        child.stdout.readline()
        assert contestant.peak_mb() - before_mb > 60
        assert contestant.cpu_s() > before_s
        child.stdin.close()


def test_a_contestant_takes_recordings_apart_and_says_what_that_took(tmp_path):
    recording = write_media(tmp_path / "in.wav", 0.1 * noise(44100), 44100, codec="pcm_s16le")
    inputs = (str(recording), str(recording))
    done = run(Work("spleeter-2stems", None, inputs, str(tmp_path / "out")))
    only = run(Work("spleeter-2stems", None, inputs[:1], str(tmp_path / "one"), stems=("vocals",)))
    assert set(only.stems) == {"vocals"}
    assert set(done.stems) == {"vocals", "accompaniment"}
    assert {path.parent.name for path in (tmp_path / "out").glob("*/*.wav")} == {"0", "1"}
    assert read(done.stems["vocals"]).shape == (2, 44100)
    assert min(done.load_s, done.wall_s, done.cpu_s) > 0
    assert done.peak_mb > 50


def test_a_contestant_that_fails_says_why(tmp_path):
    work = Work("no-such-model", None, (), str(tmp_path))
    with pytest.raises(ContestantFailed, match="no-such-model"), Contestant(work):
        pass
