"""Synthesized instruments: endless ones, each with parameters of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from separation.training.instruments.synthesis import analog, keyboards, plucked, winds
from separation.training.instruments.synthesis.tools import Instrument

# How many of each are in the bank.
COUNTS: tuple[tuple[Callable[[np.random.Generator], Instrument], int], ...] = (
    (plucked.acoustic_guitar, 45),
    (plucked.electric_guitar, 50),
    (plucked.clavinet, 30),
    (plucked.harpsichord, 8),
    (plucked.grand_piano, 25),
    (plucked.harp, 14),
    (keyboards.electric_piano, 35),
    (keyboards.organ, 45),
    (analog.synthesizer, 80),
    (winds.bowed_string, 45),
    (winds.brass, 55),
    (winds.woodwind, 60),
    (winds.voice, 20),
    (winds.struck_bar, 20),
)


def instruments(seed: int) -> Iterator[tuple[str, Instrument, np.random.Generator]]:
    """Draw all instruments of the bank: name, instrument, and the generator for its notes."""
    for draw, count in COUNTS:
        for number in range(count):
            rng = np.random.default_rng([seed, len(draw.__name__), *draw.__name__.encode(), number])
            yield f"{draw.__name__}-{number}", draw(rng), rng
