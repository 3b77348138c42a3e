"""Takes echoes out: what comes back 60 to 700 ms later, once or again and again.

The delay, the gain and the filter of each echo are estimated from the stretch of the recording
around the place where they are used (see `separation.enhance.echoes`); the echo is predicted from
what came before it and subtracted. Where none is found, samples go through as they are.
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from separation.audio.buffer import SampleBuffer
from separation.enhance.echoes import Echo, find
from separation.enhance.steps import FloatArray

# Echoes are estimated anew for each part, from the parts before and behind it too.
_PART_S = 6.0
# How soon a prediction comes and goes.
_FADE_S = 0.05


class Deechoer:
    """A step (see `separation.enhance.Step`) that takes echoes out.

    Parameters
    ----------
    sample_rate : int, Hz
    channels : int
    device : str
        Where other steps run; this one needs a CPU only.
    """

    def __init__(self, sample_rate: int, channels: int, *, device: str = "cpu") -> None:
        self._rate = sample_rate
        self._size = max(1, round(_PART_S * sample_rate))
        self._fade = max(1, round(_FADE_S * sample_rate))
        self._held = SampleBuffer(channels)
        self._n_before = 0  # of the samples that are held, those that have come out already
        self._echoes: tuple[Echo, ...] = ()
        self._links: list[_Link] = []

    def push(self, block: FloatArray) -> FloatArray:
        """Take (channels, n) samples; return those that are ready, which may be none."""
        self._held.append(block)
        ready = [self._held.peek(0, 0).copy()]
        while len(self._held) >= self._n_before + 2 * self._size:
            stretch = self._held.peek(0, self._n_before + 2 * self._size)
            ready.append(self._part(stretch, self._n_before, self._n_before + self._size))
            self._held.drop(self._n_before)
            self._n_before = self._size
        return np.concatenate(ready, axis=1)

    def flush(self) -> FloatArray:
        """Return the rest: exactly as many samples have come out then as went in."""
        stretch = self._held.peek(0, len(self._held))
        rest = self._part(stretch, self._n_before, len(self._held))
        self._held.drop(len(self._held))
        self._n_before = 0
        return rest

    def _part(self, stretch: FloatArray, first: int, last: int) -> FloatArray:
        """Return one part of a stretch without the echoes that are heard in all of it."""
        echoes = find(stretch, self._rate, self._echoes)
        if echoes is not self._echoes:
            self._change(echoes, stretch[:, :first])
        samples = stretch[:, first:last].copy()
        for link in self._links:
            samples = link.push(samples)
        self._links = [link for link in self._links if not link.is_over]
        return samples

    def _change(self, echoes: tuple[Echo, ...], before: FloatArray) -> None:
        """Let what was predicted go, and what is predicted from now on come."""
        for link in self._links:
            link.leave(self._fade)
        self._links += [_Link(echo, self._fade, before) for echo in echoes]
        self._echoes = echoes


class _Link:
    """Takes one echo out of a stream; what it gives may go to the next one."""

    def __init__(self, echo: Echo, fade: int, before: FloatArray) -> None:
        self._echo = echo
        self._fade = fade
        self._n_in = 0  # samples since it came
        self._left: int | None = None  # samples until it is gone
        # What was heard before may hold echoes, and is the best that is known of what did not.
        channels, n = len(echo.taps), echo.delay + echo.reach
        silence = np.zeros((channels, n), np.float32)
        self._heard = np.concatenate([silence, before], axis=1)[:, -n:].copy()
        self._kept = self._heard.copy()

    @property
    def is_over(self) -> bool:
        return self._left == 0

    def leave(self, fade: int) -> None:
        """Begin to predict less, until nothing is left of it."""
        if self._left is None:
            self._left = self._fade = fade

    def push(self, samples: FloatArray) -> FloatArray:
        """Return (channels, n) samples without the echo."""
        echo, before = self._echo, self._heard.shape[1]
        heard = np.concatenate([self._heard, samples], axis=1)
        kept = np.concatenate([self._kept, np.empty_like(samples)], axis=1)
        gains = self._gains(samples.shape[1])
        for first in range(before, heard.shape[1], echo.delay - echo.reach):
            last = min(first + echo.delay - echo.reach, heard.shape[1])
            span = slice(first - before, last - echo.delay + echo.reach)
            fed = echo.returns * heard[:, span] + (1 - echo.returns) * kept[:, span]
            predicted = signal.oaconvolve(fed, echo.taps, "valid", axes=1)
            gain = gains[first - before : last - before]
            kept[:, first:last] = heard[:, first:last] - gain * predicted
        self._heard = heard[:, -before:].copy()
        self._kept = kept[:, -before:].copy()
        return kept[:, before:]

    def _gains(self, n: int) -> FloatArray:
        """Return how much of the prediction is subtracted, from sample to sample."""
        places = np.arange(1, n + 1)
        gains = np.minimum(1, (self._n_in + places) / self._fade)
        self._n_in += n
        if self._left is not None:
            gains = gains * np.clip((self._left - places) / self._fade, 0, 1)
            self._left = max(0, self._left - n)
        return gains.astype(np.float32)
