"""Steps that treat speech as speech, and music with more care.

Each second is listened to, with the two before and behind it: where speech is what is heard, and
neither singing nor music, it is treated as speech.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import numpy as np

from separation.audio.buffer import SampleBuffer
from separation.audio.resample import Resampler
from separation.enhance.denoise import Denoiser
from separation.enhance.dereverb import Dereverberator
from separation.enhance.floor import FloorDenoiser
from separation.enhance.steps import FloatArray, Step
from separation.enhance.tagging import SAMPLE_RATE, WINDOW, Tagger, Tags

# How many windows on each side of one are heard with it.
_AROUND = 2
# How much more of speech than of music there must be in all of them to change to speech, or the
# other way round; and to take the first one for music.
_CHANGE, _FIRST = 0.3, 0.1
_FADE_S = 0.3


class Listener(Protocol):
    """What hears speech and music: `separation.enhance.tagging.Tagger`."""

    def tags(self, samples: FloatArray) -> Tags:
        """Return what is heard in (WINDOW,) samples at SAMPLE_RATE."""
        ...


class Adaptive:
    """A step (see `separation.enhance.Step`) that does one thing to speech, another to music.

    Parameters
    ----------
    speech, music : Step
        Of the same rate and channels.
    sample_rate : int, Hz
    channels : int
    listener : Listener, optional

    Raises
    ------
    SeparationError
        If weights are missing and cannot be had: see `separation.weights.install`.
    """

    def __init__(
        self,
        speech: Step,
        music: Step,
        sample_rate: int,
        channels: int,
        *,
        listener: Listener | None = None,
    ) -> None:
        self._ways = (speech, music)
        self._ready = (SampleBuffer(channels), SampleBuffer(channels))
        self._choice = _Choice(sample_rate, listener or Tagger())

    def push(self, block: FloatArray) -> FloatArray:
        """Take (channels, n) samples; return those that are ready, which may be none."""
        self._choice.push(block)
        for way, ready in zip(self._ways, self._ready, strict=True):
            ready.append(way.push(block))
        return self._mixed()

    def flush(self) -> FloatArray:
        """Return the rest: exactly as many samples have come out then as went in."""
        self._choice.flush()
        for way, ready in zip(self._ways, self._ready, strict=True):
            ready.append(way.flush())
        return self._mixed()

    def _mixed(self) -> FloatArray:
        n = min(*(len(ready) for ready in self._ready), self._choice.n_known)
        shares = self._choice.take(n)
        speech, music = (ready.take(n) for ready in self._ready)
        return shares * speech + (1 - shares) * music


class AdaptiveDenoiser(Adaptive):
    """Takes noise out of speech by a network; what else is heard loses only what is steady.

    A network that was made for speech takes music for noise. Parameters are those of every step;
    its models run on the CPU.
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        device: str = "cpu",
        listener: Listener | None = None,
    ) -> None:
        speech = Denoiser(sample_rate, channels, device=device)
        music = FloorDenoiser(sample_rate, channels)
        super().__init__(speech, music, sample_rate, channels, listener=listener)


class AdaptiveDereverberator(Adaptive):
    """Takes the room out of speech, and half as much of it out of all else, without prediction.

    Linear prediction takes a held note for reverberation. Parameters are those of every step.
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        device: str = "cpu",
        listener: Listener | None = None,
    ) -> None:
        speech = Dereverberator(sample_rate, channels, device=device)
        music = Dereverberator(sample_rate, channels, device=device, predicts=False, strength=0.5)
        super().__init__(speech, music, sample_rate, channels, listener=listener)


class _Choice:
    """Follows what is heard, and says what share of each sample is that of speech."""

    def __init__(self, sample_rate: int, listener: Listener) -> None:
        self._listener = listener
        self._rate = sample_rate
        self._to_model = Resampler(sample_rate, SAMPLE_RATE, 1)
        self._waiting = SampleBuffer(1)
        self._heard: deque[float] = deque(maxlen=2 * _AROUND + 1)
        self._n_windows = self._n_judged = 0
        self._is_speech: bool | None = None
        self._share = 1.0  # of the sample before the first that is not yet taken
        self._parts: deque[tuple[int, bool]] = deque()  # samples, and whether they are speech
        self._n_in = self._n_out = 0

    @property
    def n_known(self) -> int:
        """How many samples, after those that were taken, are judged."""
        return sum(n for n, _ in self._parts)

    def push(self, block: FloatArray) -> None:
        """Hear (channels, n) samples."""
        self._n_in += block.shape[1]
        self._listen(self._to_model.process(block.mean(axis=0, keepdims=True)))

    def flush(self) -> None:
        """Judge what is left."""
        rest = self._to_model.finish()
        n_missing = -(len(self._waiting) + rest.shape[1]) % WINDOW
        self._listen(np.concatenate([rest, np.zeros((1, n_missing), np.float32)], axis=1))
        while self._n_judged < self._n_windows:
            if len(self._heard) > 1 and self._n_judged >= _AROUND:
                self._heard.popleft()
            self._judge()
        n_judged = self._n_out + self.n_known
        if n_judged < self._n_in:
            self._parts.append((self._n_in - n_judged, self._is_speech is not False))

    def take(self, n: int) -> FloatArray:
        """Return the shares of (n,) samples."""
        shares = np.empty(n, np.float32)
        step = 1 / max(1, round(_FADE_S * self._rate))
        done = 0
        while done < n:
            length, is_speech = self._parts.popleft()
            count = min(length, n - done)
            if count < length:
                self._parts.appendleft((length - count, is_speech))
            change = step * np.arange(1, count + 1) * (1 if is_speech else -1)
            shares[done : done + count] = np.clip(self._share + change, 0, 1)
            self._share = float(shares[done + count - 1])
            done += count
        self._n_out += n
        return shares

    def _listen(self, samples: FloatArray) -> None:
        self._waiting.append(samples)
        while len(self._waiting) >= WINDOW:
            tags = self._listener.tags(self._waiting.take(WINDOW)[0])
            self._heard.append(tags.speech - max(tags.singing, tags.music))
            self._n_windows += 1
            if self._n_windows > _AROUND:
                self._judge()

    def _judge(self) -> None:
        """Decide what the window is that lies _AROUND before the newest one."""
        more = sum(self._heard)
        if self._is_speech is None:
            self._is_speech = more > -_FIRST
            self._share = float(self._is_speech)
        elif abs(more) > _CHANGE:
            self._is_speech = more > 0
        self._n_judged += 1
        # Windows are whole at the model's rate: each ends where it does at the recording's.
        end = round(self._n_judged * WINDOW * self._rate / SAMPLE_RATE)
        n = min(end, self._n_in) - self._n_out - self.n_known
        if n > 0:
            self._parts.append((n, self._is_speech))
