"""What every step of an enhancement has in common."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


class Step(Protocol):
    """Takes (channels, n) float32 blocks, at the rate and of the channels that it was made for.

    What comes out of `push` and at last of `flush` is, all together, exactly as many samples as
    went in, each at its own place: what one step gives can go into the next.
    """

    def push(self, block: FloatArray) -> FloatArray:
        """Take one block of any length; return what is ready, which may be nothing."""
        ...

    def flush(self) -> FloatArray:
        """Return the rest; nothing may be pushed any more."""
        ...
