"""How well each model recovers the stems of the shipped song: `python -m benchmarks.quality`.

The figures in separation/catalog/models.toml come from here. The song is a single short one that
the project made itself: enough to see that a model works, too little to rank models by. More songs,
and what presets are worth: `python -m benchmarks.engine.presets`.
"""

import argparse
import json
import sys
from tempfile import TemporaryDirectory

import separation
from benchmarks.songs import FloatArray, Song, demo, read
from separation import catalog, presets
from separation.quality import sdr_db
from separation.residual import Residual


def true_stem(song: Song, name: str) -> FloatArray | None:
    """Return a stem as it went into the song, (channels, samples); None if there is none."""
    mixture = read(song.mixture)
    parts = {part: read(path) for part, path in song.stems.items()}
    if name in parts:
        return parts[name]
    minus = ("vocals",) if name == "accompaniment" else catalog.stem(name).minus
    for part in minus:
        mixture = mixture - parts[part]
    return mixture if minus else None


def measure(model: catalog.Model, options: argparse.Namespace) -> dict[str, float]:
    """Separate the song with one model and compare each of its stems, in dB."""
    song = demo()
    with TemporaryDirectory(prefix="stemwright-") as folder:
        result = separation.separate(
            song.mixture,
            folder,
            model=model.name,
            preset=options.preset,
            residual=options.residual,
            backend=options.backend,
        )
        estimates = {name: read(path) for name, path in result.stems.items()}
    references = {name: true_stem(song, name) for name in estimates}
    return {
        name: round(sdr_db(reference, estimates[name]), 1)
        for name, reference in references.items()
        if reference is not None
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument("models", nargs="*", type=catalog.model, help="all when left out")
    parser.add_argument("--preset", default=presets.DEFAULT, choices=list(presets.PRESETS))
    parser.add_argument(
        "--residual", default=Residual.SPREAD.value, choices=[str(item) for item in Residual]
    )
    parser.add_argument("--backend", help="the best when left out")
    options = parser.parse_args()
    for model in options.models or catalog.models():
        sys.stdout.write(f"{model.name} {json.dumps(measure(model, options))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
