"""How well each model recovers the stems of the shipped song: `python -m benchmarks.quality`.

The figures in separation/catalog/models.toml come from here. The song is a single short one that
the project made itself: enough to see that a model works, too little to rank models by.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import soundfile

import separation
from separation.quality import sdr_db

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "demo" / "clip.flac"
TRUE_STEMS = ROOT / "demo" / "stems"

Samples = npt.NDArray[np.float64]


def true_stem(name: str) -> Samples | None:
    """Return a stem as it went into the song, (channels, samples); None if there is none."""
    mixture = _read(CLIP)
    parts = {path.stem: _read(path) for path in TRUE_STEMS.glob("*.flac")}
    if name in parts:
        return parts[name]
    if name == "accompaniment":
        return mixture - parts["vocals"]
    minus = separation.catalog.stem(name).minus
    return mixture - sum(parts[part] for part in minus) if minus else None


def measure(model: separation.catalog.Model) -> dict[str, float]:
    """Separate the song with one model and compare each of its stems, in dB."""
    with TemporaryDirectory(prefix="stemwright-") as folder:
        result = separation.separate(CLIP, folder, model=model.name)
        estimates = {name: _read(path) for name, path in result.stems.items()}
    references = {name: true_stem(name) for name in estimates}
    return {
        name: round(sdr_db(reference, estimates[name]), 1)
        for name, reference in references.items()
        if reference is not None
    }


def _read(path: Path) -> Samples:
    samples, _ = soundfile.read(path, dtype="float64", always_2d=True)
    return np.asarray(samples.T)


if __name__ == "__main__":
    for model in separation.catalog.models():
        sys.stdout.write(f"{model.name} {json.dumps(measure(model))}\n")
