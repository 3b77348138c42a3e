import argparse

import pytest
import torch

from benchmarks import gpu
from benchmarks.engine import report


def make_bench(folder, budget):
    options = argparse.Namespace(device="cpu", seconds=1.0, backend=None, budget=budget)
    return gpu.Bench(options, folder)


@pytest.fixture
def no_engine(monkeypatch):
    monkeypatch.setattr(gpu.Bench, "_load", lambda self: None)
    monkeypatch.setattr(gpu, "close_engines", lambda: None)


def test_what_there_is_no_time_for_is_named(no_engine, tmp_path):
    bench = make_bench(tmp_path, budget=-1)
    bench.run()
    left_out = bench.figures["left out or cut short for want of time"]
    assert left_out.split(", ")[:2] == ["latency", "batches"]
    assert (len(left_out.split(", ")), bench.batches, bench.pipeline) == (7, [], [])


def test_parts_that_are_done_stay_when_the_time_is_over(no_engine, monkeypatch, tmp_path):
    def use_up(self):
        self.figures["done"] = True
        self._deadline = 0
        self._check_time()

    monkeypatch.setattr(gpu.Bench, "_latency", lambda self, song: None)
    monkeypatch.setattr(gpu.Bench, "_batches", use_up)
    bench = make_bench(tmp_path, budget=60)
    bench.run()
    assert bench.figures["done"]
    assert bench.figures["left out or cut short for want of time"].startswith("batches, ")


def test_float32_is_itself_only_where_it_is_asked_for():
    before = torch.backends.cudnn.allow_tf32
    with gpu._without_tf32():
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before


def test_the_tables_show_what_was_measured():
    batch = {"batch": 4, "ms_per_segment": 2.5, "times_real_time": 2340.0, "device_peak_mb": 900}
    at_once = {"recordings": 8, "wall_s": 2.0, "times_real_time": 960.0, "songs_per_hour": 14400}
    result = {
        "figures": {"device": "one"},
        "batches": [batch, {**batch, "device_peak_mb": None}],
        "pipeline": [at_once],
        "profile": "kernels\n",
        **{"date": "", "machine": "", "system": "", "versions": {}, "commit": ""},
        "load_average_before": 0,
    }
    shown = report.text("gpu", result)
    assert "- device: one\n" in shown
    assert "| 4     | 2.50         | 2340            | 900                   |" in shown
    assert "| 14400 " in shown
    assert "```\nkernels\n```" in shown
