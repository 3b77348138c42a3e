"""How loud a track is, measured as it comes, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph

from separation.speakers.cutting import FloatArray, Item
from separation.speakers.statistics import Levels

# Below the first gate of ITU-R BS.1770: FFmpeg's word for "nothing was measured".
_UNMEASURED_LUFS = -70.0
# FFmpeg gives the true peak in thousandths.
_PEAK_STEP = 0.001
# Silence that is fed after sound, in steps of the meter: the windows of 0.4 s and the ringing of
# its filters are over by then.
_SILENT_STEPS = 10
# More would raise the noise of what is hardly there.
_MOST_GAIN_DB = 30.0
_DB_DECIMALS = 2
_PEAK_DECIMALS = 6


class Loudness:
    """Integrated loudness (LUFS) and true peak by ITU-R BS.1770-4 and EBU R 128, from FFmpeg.

    Silence of any length costs the same: below the gate it changes nothing, so that only what the
    meter's windows need of it is fed, at the same place in their steps of 0.1 s.

    Parameters
    ----------
    sample_rate : int, Hz
    n_channels : int
    layout : str
        FFmpeg's name for the speakers.
    """

    def __init__(self, sample_rate: int, n_channels: int, layout: str) -> None:
        self._rate = sample_rate
        self._n_channels = n_channels
        self._layout = layout
        self._step = sample_rate // 10
        self._silent = 0
        self._n_fed = 0
        self._values: dict[str, str] = {}
        self._graph = Graph()
        self._graph.threads = 1
        self._source = self._graph.add_abuffer(
            sample_rate=sample_rate,
            format="flt",
            layout=layout,
            time_base=Fraction(1, sample_rate),
        )
        meter = self._graph.add("ebur128", "metadata=1:peak=true")
        self._sink = self._graph.add("abuffersink")
        self._source.link_to(meter)
        meter.link_to(self._sink)
        self._graph.configure()

    def add(self, samples: FloatArray) -> None:
        """Measure (channels, n) samples."""
        self._feed_silence()
        self._feed(samples)

    def add_silence(self, n: int) -> None:
        """Measure so many silent samples."""
        self._silent += n

    def finish(self) -> tuple[float | None, float]:
        """Return the loudness in LUFS, None if nothing was loud enough, and the true peak."""
        self._feed_silence()
        lufs = float(self._values.get("lavfi.r128.I", _UNMEASURED_LUFS))
        # A last step that is not full tells nothing; its peak counts, and no window of its own.
        self._silent = -self._n_fed % self._step
        self._feed_silence()
        peak = float(self._values.get("lavfi.r128.true_peak", 0.0))
        return (lufs if lufs > _UNMEASURED_LUFS else None), peak + _PEAK_STEP / 2

    def _feed_silence(self) -> None:
        most = _SILENT_STEPS * self._step
        if self._silent > most:
            self._silent = most + self._silent % self._step
        if self._silent:
            self._feed(np.zeros((self._n_channels, self._silent), np.float32))
        self._silent = 0

    def _feed(self, samples: FloatArray) -> None:
        packed = np.ascontiguousarray(samples.T).reshape(1, -1)  # (1, n * channels)
        frame = AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
        frame.sample_rate = self._rate
        frame.pts = self._n_fed
        self._n_fed += samples.shape[1]
        self._graph.push(frame)
        self._pull()

    def _pull(self) -> None:
        while True:
            try:
                frame = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            self._values |= frame.metadata


class LevelMeter:
    """Level, peak and loudness of one track, which comes as items.

    Parameters
    ----------
    sample_rate : int, Hz
    n_channels : int
    layout : str
        FFmpeg's name for the speakers.
    """

    def __init__(self, sample_rate: int, n_channels: int, layout: str) -> None:
        self._loudness = Loudness(sample_rate, n_channels, layout)
        self._energy = 0.0
        self._n = 0
        self._peak = 0.0

    def add(self, items: Sequence[Item]) -> None:
        """Measure what comes next."""
        for item in items:
            if isinstance(item, int):
                self._loudness.add_silence(item)
                continue
            self._energy += float(np.square(item, dtype=np.float64).sum())
            self._n += item.size
            self._peak = max(self._peak, float(np.abs(item).max()))
            self._loudness.add(item)

    def levels(self, target_lufs: float | None = None, ceiling_db: float = 0.0) -> Levels:
        """Return what was measured, after the last item; call it once.

        Parameters
        ----------
        target_lufs : float, optional
            The gain is what it takes to be as loud as this, or less: what the ceiling allows, and
            no more than 30 dB.
        ceiling_db : float
            What the true peak (dBFS) may be at most after a gain.
        """
        lufs, true_peak = self._loudness.finish()
        gain_db = 0.0
        if target_lufs is not None and lufs is not None:
            highest = max(true_peak, self._peak)
            allowed_db = min(ceiling_db - 20 * math.log10(highest), _MOST_GAIN_DB)
            gain_db = min(target_lufs - lufs, allowed_db)
        mean = self._energy / self._n if self._n else 0.0
        return Levels(
            rms_db=round(10 * math.log10(mean), _DB_DECIMALS) if mean > 0 else None,
            peak=round(self._peak, _PEAK_DECIMALS),
            lufs=None if lufs is None else round(lufs, _DB_DECIMALS),
            gain_db=math.floor(gain_db * 10**_DB_DECIMALS) / 10**_DB_DECIMALS,
        )
