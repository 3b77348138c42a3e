"""Songs taken apart: through the whole chain, by one model from the true parent, and by a peer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

import separation
from benchmarks import songs
from benchmarks.engine.contestant import PEER, Work
from benchmarks.engine.runs import run
from benchmarks.quality.sets import RATE
from benchmarks.songs import FloatArray
from separation import catalog, engines
from separation.apart import Apart
from separation.audio.overlap import Crossfade, Grid, Segment, Segmenter
from separation.catalog import Model
from separation.plans import total
from separation.residual import Residual

# The root model's: a child gets what that one made, segment by segment.
_GRID = Grid(segment=343_980, overlap=0.25)
PEER_MODEL = "htdemucs"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a song: stems, (2, n) each, and the seconds of work."""

    stems: Mapping[str, FloatArray]
    seconds: float


def roots() -> list[Model]:
    """Return the models that take recordings apart, of those that are installed."""
    return [model for model in _installed() if not model.input]


def children() -> list[Model]:
    """Return the models that take stems apart, of those that are installed."""
    return [model for model in _installed() if model.input]


def chain_of(stem: str) -> list[str]:
    """Return the models that make a stem where it is asked for alone; the last one makes it.

    Raises
    ------
    separation.errors.SeparationError
        If there is no way.
    """
    return [model.name for model in separation.plan([stem], require_installed=True).models]


def through_chain(mixture: FloatArray, root: Model, stems: Sequence[str]) -> Taken:
    """Take a recording apart as a customer has it done, (2, n) float32."""
    with TemporaryDirectory(prefix="stemwright-") as folder:
        path = _written(mixture, Path(folder) / "mixture.wav")
        for model in separation.plan(stems, root.name).models:
            engines.load_engine(model)  # before the clock starts
        result = separation.separate(
            path, Path(folder) / "stems", stems=stems, model=root.name, output_format="wav32f"
        )
        estimates = {name: songs.read(path) for name, path in result.stems.items()}
    return Taken(estimates, result.seconds)


def from_parent(parent: FloatArray, model: Model) -> Taken:
    """Take a true stem, (2, n) float32, apart by the one model whose input it is.

    Sums and differences that follow from its stems are among the result.
    """
    engine = engines.load_engine(model)
    started = time.monotonic()
    apart = Apart(model, model.stems, Residual.SPREAD)
    segmenter, crossfade = Segmenter(_GRID, n_channels=2), Crossfade(_GRID)

    def made(segment: Segment) -> FloatArray:
        pairs = apart.pairs(segment.samples)
        estimates = [engine.separate(pair.mixture[np.newaxis])[0] for pair in pairs]
        return apart.stems(segment.samples, pairs, estimates)

    segments = [*segmenter.push(parent), *segmenter.finish()]
    joined = [block for one in segments for block in crossfade.add(one, made(one))]
    seconds = time.monotonic() - started
    stems = dict(zip(model.stems, np.concatenate(joined, axis=-1), strict=True))
    return Taken(_with_derived(stems, model, parent), seconds)


def by_peer(mixture: FloatArray) -> Taken:
    """Take a recording apart by the package `demucs`, as its own command line does."""
    with TemporaryDirectory(prefix="stemwright-") as folder:
        path = _written(mixture, Path(folder) / "mixture.wav")
        done = run(Work(PEER_MODEL, PEER, (str(path),), str(Path(folder) / "stems")))
        estimates = {name: songs.read(path) for name, path in done.stems.items()}
    return Taken(estimates, done.wall_s)


def _with_derived(
    stems: Mapping[str, FloatArray], model: Model, parent: FloatArray
) -> dict[str, FloatArray]:
    known = {model.input: parent, **stems}
    derived = {
        stem.name: total(stem, known.__getitem__).astype(np.float32)
        for stem in catalog.stems()
        if stem.is_derived and stem.name not in known and model.makes(stem)
    }
    return {**stems, **derived}


def _installed() -> list[Model]:
    return [model for model in catalog.models() if catalog.availability(model).is_installed]


def _written(samples: FloatArray, path: Path) -> Path:
    soundfile.write(path, samples.T, RATE, "FLOAT")
    return path
