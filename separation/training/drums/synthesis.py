"""Kits that are computed: as many as wanted, each with other drums, cymbals and small things.

They carry a network over to kits that it has not heard; the recorded ones alone are too few.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from separation.training.drums import hands, membranes, metals
from separation.training.drums.recorded import FloatArray, RawSound

SYNTHESIZED = "synthesized"
N_KITS = 240


def synthesized(n_kits: int = N_KITS) -> Iterator[RawSound]:
    """Give every sound of `n_kits` kits; always the same ones."""
    for number in range(n_kits):
        rng = np.random.default_rng([2026, number])
        for voice, sound in kit(rng):
            yield RawSound(f"{SYNTHESIZED}-{number}", voice, (_both(sound),))


def kit(rng: np.random.Generator) -> Iterator[tuple[str, FloatArray]]:
    """Give the sounds of one kit: voice, and (channels, n) at 44.1 kHz."""
    yield "kick", membranes.kick(rng)
    if rng.random() < 0.25:
        yield "snare", membranes.machine_snare(rng)
    else:
        yield "snare", membranes.snare(rng)
    yield "rimshot", membranes.snare(rng, rim=float(rng.uniform(0.3, 1.0)))
    yield "sidestick", membranes.sidestick(rng)
    yield from zip(("tom_high", "tom_mid", "tom_low"), membranes.toms(rng), strict=True)
    yield from metals.hats(rng).items()
    yield from metals.ride(rng).items()
    yield "crash", metals.crash(rng)
    yield "crash", metals.crash(rng)
    if rng.random() < 0.5:
        yield "splash", metals.splash(rng)
    if rng.random() < 0.5:
        yield "china", metals.china(rng)
    for voice in rng.choice(list(hands.MAKERS), 3, replace=False):
        yield str(voice), hands.MAKERS[str(voice)](rng)


def _both(sound: FloatArray) -> FloatArray:
    return np.repeat(sound, 2, axis=0) if sound.shape[0] == 1 else sound
