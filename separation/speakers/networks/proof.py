"""The proof that a backend computes what the networks compute (docs/adr/0020-speaker-networks.md).

Ten seconds of a made-up voice go through it; `proof.npz` holds what PyTorch makes of them in
float32, with the pinned weights. `python -m separation.speakers.networks.proof` writes it anew.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from separation import catalog, weights
from separation.engines.proof import machine_key
from separation.speakers.fbank import filter_bank
from separation.speakers.networks import (
    CHUNK_SAMPLES,
    SAMPLE_RATE,
    FloatArray,
    Networks,
    load_networks,
    statistics,
)

# Of the probabilities in the worst frame; float32 is within 0.0002, bfloat16 0.6 off.
MAX_ERROR = 0.01
# Of the embedding; float32 has 1.0000, bfloat16 0.9998.
MIN_COSINE = 0.995

# To be raised by a change that may change what they compute.
CODE_VERSION = 1
_EXPECTED = Path(__file__).with_name("proof.npz")
_TOOL = "pyannote-wespeaker"


class NotProven(Exception):
    """A backend computes something else than the reference."""


def prove(networks: Networks) -> None:
    """Compare loaded networks with what is known of their weights, once on a machine.

    Raises
    ------
    NotProven
        If they compute something else.
    """
    folder = weights.derived_dir(networks.tool) / "proof"
    record = folder / f"{networks.backend}-{CODE_VERSION}-{machine_key()}"
    if record.is_file():
        return
    compare(networks)
    with contextlib.suppress(OSError):  # who may only read the cache proves it each time
        folder.mkdir(parents=True, exist_ok=True)
        record.touch()


def compare(networks: Networks) -> None:
    """Raise NotProven if the networks compute something else than expected."""
    with np.load(_EXPECTED, allow_pickle=False) as expected:
        probabilities, embedding = measured(networks)
        error = np.abs(probabilities - expected["probabilities"]).max()
        if not error <= MAX_ERROR:
            raise NotProven(f"the segmentation is off by {error:.3f}")
        lengths = np.linalg.norm(embedding) * np.linalg.norm(expected["embedding"])
        cosine = embedding @ expected["embedding"] / lengths
        if not cosine >= MIN_COSINE:
            raise NotProven(f"the embedding has a cosine of {cosine:.4f}")


def measured(networks: Networks) -> tuple[FloatArray, FloatArray]:
    """Return what networks make of the voice: (589, 7) probabilities and the (256,) embedding."""
    sound = voice()
    probabilities = np.exp(networks.segment(sound[None])[0])
    features = filter_bank(sound)
    rows = networks.trunk((features - features.mean(axis=0))[None])[0]
    return probabilities, networks.project(statistics(rows)[None])[0]


def voice() -> FloatArray:
    """Return syllables of a gliding voice, (160000,) float32: partials under two formants."""
    time_s = np.arange(CHUNK_SAMPLES) / SAMPLE_RATE
    pitch_hz = 140 + 30 * np.sin(2 * np.pi * 0.7 * time_s) + 8 * np.sin(2 * np.pi * 5 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE
    first_hz = 550 + 200 * np.sin(2 * np.pi * 1.9 * time_s)
    second_hz = 1600 + 500 * np.sin(2 * np.pi * 1.3 * time_s)
    sound = np.zeros(CHUNK_SAMPLES)
    for partial in range(1, 30):
        hz = partial * pitch_hz
        level = 1 / (1 + ((hz - first_hz) / 90) ** 2) + 0.5 / (1 + ((hz - second_hz) / 150) ** 2)
        sound += level * np.sin(partial * phase)
    syllables = np.clip(3 * np.sin(2 * np.pi * 2.1 * time_s) + 1.5, 0, 1)
    sentences = np.sin(2 * np.pi * 0.2 * time_s) > -0.5
    breath = np.random.default_rng(0).normal(size=CHUNK_SAMPLES)
    sound = 0.1 * sound * syllables * sentences + 0.0005 * breath
    return sound.astype(np.float32)


def write_expected(path: Path) -> None:
    """Compute what is expected, by the backend that all others are compared with."""
    probabilities, embedding = measured(
        load_networks(catalog.tool(_TOOL), "cpu", backend="torch-f32")
    )
    np.savez_compressed(path, probabilities=probabilities, embedding=embedding)


if __name__ == "__main__":
    write_expected(_EXPECTED)
