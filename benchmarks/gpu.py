"""The engine on a GPU, in under 8 minutes: `python -m benchmarks.gpu [--device cuda]`.

Needs PyTorch with CUDA, the weights and nothing else: no network, no database. `--device cpu
--seconds 10` tries the script itself where there is no GPU; its figures then mean nothing.
What there is no time left for is left out, and said to be.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import separation
from benchmarks import songs
from benchmarks.engine import machine, report
from benchmarks.engine.figures import worst
from benchmarks.engine.floor import floor_s, measure_peaks, n_segments, operations_of
from benchmarks.engine.peer import Peer
from separation import catalog, presets
from separation.engines import Engine, FloatArray, close_engines, load_engine, proof
from separation.engines.backends import REFERENCE

_MODEL = "htdemucs"
_BUDGET_S = 420.0
_BATCHES = (1, 2, 4, 8, 16, 32)
_AT_ONCE = (1, 2, 4, 8, 16)
_SONG_S = 240.0
_FIDELITY_S = 60.0
_ROUNDS = 3
_PEAK_MATRIX = 8192
_PROFILE_ROWS = 15


class OutOfTime(Exception):
    """The rest is left out."""


class Bench:
    """Measures one thing after the other, and keeps what it found.

    Parameters
    ----------
    options : namespace
    folder : path
        For recordings and stems.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.device: str = options.device
        self.song_s: float = options.seconds
        self.figures: dict[str, Any] = {}
        self.batches: list[dict[str, Any]] = []
        self.pipeline: list[dict[str, Any]] = []
        self.profile = ""
        self._backend: str | None = options.backend
        self._folder = folder
        self._deadline = time.monotonic() + options.budget
        self._is_gpu = self.device.startswith("cuda")
        self._model = catalog.model(_MODEL)
        self._engine: Engine | None = None

    def run(self) -> None:
        """Measure everything, the most wanted first."""
        song = songs.looped(songs.demo(), self.song_s, self._folder / "in")
        self._load()
        parts: Mapping[str, Callable[[], None]] = {
            "latency": lambda: self._latency(song),
            "batches": self._batches,
            "recordings at once": lambda: self._pipeline(song),
            "profile": self._profile,
            "fidelity": self._fidelity,
            "floor": self._floor,
            "peer": lambda: self._peer(song),
        }
        left_out = []
        for name, measure in parts.items():
            _say(f"{name}, {self._deadline - time.monotonic():.0f} s left")
            try:
                self._check_time()
                measure()
            except OutOfTime:
                left_out.append(name)
        self.figures["left out or cut short for want of time"] = ", ".join(left_out) or "nothing"
        close_engines()

    # --- the parts

    def _load(self) -> None:
        started = time.monotonic()
        self._engine = load_engine(self._model, self.device, self._backend)
        self.figures["backend"] = self._engine.backend
        self.figures["load, s"] = round(time.monotonic() - started, 2)

    def _latency(self, song: songs.Song) -> None:
        """One song alone, from file to four files; the first time apart, which records graphs."""
        for preset in ("balanced", "fast"):
            walls_s: list[float] = []
            for _ in range(_ROUNDS + 1):
                walls_s.append(self._separated_s([song.mixture], preset))
                _say(f"  {preset}: {walls_s[-1]:.2f} s")
                if len(walls_s) > 1:
                    self._check_time()
            wall_s = statistics.median(walls_s[1:])
            name = f"one song of {self.song_s:g} s alone, {preset}"
            self.figures[f"{name}, s"] = round(wall_s, 2)
            self.figures[f"{name}, the first time, s"] = round(walls_s[0], 2)
            self.figures[f"{name}, times real time"] = round(self.song_s / wall_s)

    def _batches(self) -> None:
        """The model alone, from the host's memory to the host's memory, as the queue calls it."""
        engine = self._loaded()
        for batch in _BATCHES:
            if batch not in engine.batch_sizes:
                continue
            mixtures = self._noise(batch)
            self._reset_peak()
            engine.separate(mixtures)  # the first of its size
            wall_s = self._fastest_of_lanes(mixtures)
            stride_s = presets.grid(self._model, "balanced").stride / self._model.sample_rate
            self.batches.append(
                {
                    "batch": batch,
                    "ms_per_segment": round(1000 * wall_s / batch, 3),
                    "times_real_time": round(batch * stride_s / wall_s, 1),
                    "device_peak_mb": self._peak_mb(),
                }
            )
            _say(f"  {self.batches[-1]}")
            self._check_time()

    def _fastest_of_lanes(self, mixtures: FloatArray) -> float:
        """Return the wall seconds of one call when all lanes are busy."""
        engine = self._loaded()
        n_calls = engine.lanes * (4 if self._is_gpu else 1)
        best = float("inf")
        with ThreadPoolExecutor(engine.lanes) as pool:
            for _ in range(_ROUNDS if self._is_gpu else 1):
                started = time.monotonic()
                list(pool.map(engine.separate, [mixtures] * n_calls))
                best = min(best, (time.monotonic() - started) / n_calls)
        return best

    def _pipeline(self, song: songs.Song) -> None:
        """Several recordings at once through one process, as in a worker."""
        for n in _AT_ONCE if self._is_gpu else _AT_ONCE[:2]:
            self._reset_peak()
            wall_s = self._separated_s([song.mixture] * n, "balanced")
            self.pipeline.append(
                {
                    "recordings": n,
                    "wall_s": round(wall_s, 2),
                    "times_real_time": round(n * self.song_s / wall_s, 1),
                    "songs_per_hour": round(n * self.song_s / _SONG_S * 3600 / wall_s),
                    "device_peak_mb": self._peak_mb(),
                }
            )
            _say(f"  {self.pipeline[-1]}")
            self._check_time()

    def _fidelity(self) -> None:
        engine = self._loaded()
        if engine.backend == REFERENCE:
            return
        fixed_db = proof.measure(engine)
        self.figures["fidelity on the fixed segment, worst stem, dB"] = round(fixed_db, 1)
        song = songs.looped(songs.demo(), min(_FIDELITY_S, self.song_s), self._folder / "short")
        ours = self._stems(song, None)
        # The reference's float32 is to be float32.
        with _without_tf32():
            reference = self._stems(song, REFERENCE)
        fidelity_db = worst(songs.sdr_of_stems(reference, ours))
        name = "against the same on this device in float32, worst stem, dB"
        self.figures[f"fidelity {name}"] = round(fidelity_db, 1)
        for way, stems in (("this backend", ours), ("float32", reference)):
            sdr_db = songs.mean(songs.sdr_of_stems(song.stems, stems).values())
            self.figures[f"SDR of {way}, mean of the stems, dB"] = round(sdr_db, 3)

    def _floor(self) -> None:
        operations = operations_of(_MODEL)
        with _without_tf32():
            peaks = measure_peaks(self.device, _PEAK_MATRIX if self._is_gpu else 1024)
        per_segment_s = floor_s(operations, peaks, rounds=True)
        n_samples = round(self.song_s * self._model.sample_rate)
        n = n_segments(presets.grid(self._model, "balanced"), n_samples)
        self.figures["matrix products, operations a second"] = asdict(peaks)
        self.figures["floor of a segment, ms"] = round(1000 * per_segment_s, 3)
        self.figures["floor of the song, s"] = round(n * per_segment_s, 3)
        if self.batches:
            fastest_ms = min(row["ms_per_segment"] for row in self.batches)
            share = 1000 * per_segment_s / fastest_ms
            self.figures["share of the floor that the best batch reaches"] = round(share, 3)

    def _peer(self, song: songs.Song) -> None:
        """The peer's command line on the same device and song."""
        peer = Peer(_MODEL, self.device, seed=0)
        peer.load()
        peer.warm_up()
        walls_s = []
        for index in range(2):
            started = time.monotonic()
            peer.separate(song.mixture, self._folder / f"peer-{index}")
            walls_s.append(time.monotonic() - started)
            _say(f"  {walls_s[-1]:.2f} s")
            self.figures["peer: one song alone, s"] = round(min(walls_s), 2)
            self._check_time()

    def _profile(self) -> None:
        """One batch of the size that serves best, kernel by kernel."""
        engine = self._loaded()
        best = min(self.batches, key=lambda row: row["ms_per_segment"], default={"batch": 1})
        mixtures = self._noise(best["batch"])
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self._is_gpu:
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        with torch.profiler.profile(activities=activities) as profile:
            engine.separate(mixtures)
        order = "self_cuda_time_total" if self._is_gpu else "self_cpu_time_total"
        table = profile.key_averages().table(
            sort_by=order, row_limit=_PROFILE_ROWS, max_name_column_width=60
        )
        self.profile = f"batch of {best['batch']}\n{table}"

    # --- what they share

    def _separated_s(self, recordings: list[Path], preset: str) -> float:
        def separate(index: int) -> None:
            separation.separate(
                recordings[index],
                self._folder / f"out-{index}",
                model=_MODEL,
                output_format="wav32f",
                preset=preset,
                device=self.device,
                backend=self._backend,
            )

        started = time.monotonic()
        with ThreadPoolExecutor(len(recordings)) as pool:
            list(pool.map(separate, range(len(recordings))))
        return time.monotonic() - started

    def _stems(self, song: songs.Song, backend: str | None) -> Mapping[str, Path]:
        result = separation.separate(
            song.mixture,
            self._folder / f"fidelity-{backend}",
            model=_MODEL,
            output_format="wav32f",
            device=self.device,
            backend=backend or self._backend,
        )
        return result.stems

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("The engine is not loaded.")
        return self._engine

    def _noise(self, batch: int) -> FloatArray:
        samples = torch.randn(batch, 2, self._model.segment_samples) * 0.1
        array: FloatArray = samples.numpy()
        return array

    def _reset_peak(self) -> None:
        if self._is_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)

    def _peak_mb(self) -> float | None:
        if not self._is_gpu:
            return None
        return round(torch.cuda.max_memory_allocated(self.device) / 1024**2)

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise OutOfTime


class _without_tf32:
    """Products in float32 as it is, not with ten bits of its fraction."""

    def __enter__(self) -> None:
        backends: Any = torch.backends
        self._before = backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32
        backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = False

    def __exit__(self, *_: object) -> None:
        backends: Any = torch.backends
        backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = self._before


def _gpu_facts(device: str) -> dict[str, Any]:
    if not device.startswith("cuda"):
        return {"device": f"{device}: a trial of the script, not a measurement"}
    properties = torch.cuda.get_device_properties(device)
    version: Any = torch.version
    return {
        "device": f"{properties.name}, {properties.total_memory / 1024**3:.0f} GiB, "
        f"{properties.multi_processor_count} multiprocessors, CUDA {version.cuda}"
    }


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main() -> None:
    options = _options()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit(
            "There is no CUDA device here; --device cpu --seconds 10 tries the script."
        )
    started = time.monotonic()
    folder = songs.ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as scratch:
        facts, device = machine.describe(), _gpu_facts(options.device)
        _say(f"{facts['machine']}; {device['device']}")
        bench = Bench(options, Path(scratch))
        bench.run()
    bench.figures["the whole benchmark, s"] = round(time.monotonic() - started)
    result = {
        **facts,
        "figures": {**device, **bench.figures},
        "batches": bench.batches,
        "pipeline": bench.pipeline,
        "profile": bench.profile,
    }
    # A trial must not look like a measurement to whoever writes the documentation.
    path = folder / ("gpu.json" if options.device.startswith("cuda") else "gpu-trial.json")
    path.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(report.text("gpu", result) + f"\n{path.relative_to(songs.ROOT)}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", default="cuda", help="torch device (default: cuda)")
    parser.add_argument("--backend", help="the best one when left out")
    parser.add_argument(
        "--seconds", type=float, default=_SONG_S, help="length of the song (default: 240)"
    )
    parser.add_argument(
        "--budget", type=float, default=_BUDGET_S, help="seconds, about (default: 420)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
