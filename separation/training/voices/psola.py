"""Another melody and another throat for a voice whose pitch is known, by overlapped periods.

References
----------
Moulines, Charpentier: Pitch-synchronous waveform processing techniques for text-to-speech synthesis
using diphones, Speech Communication 9, 1990, https://doi.org/10.1016/0167-6393(90)90021-Z
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

# What stands for a period where there is no voice.
_UNVOICED_S = 0.006
# How far from where it is expected a period's peak is looked for, in periods.
_SEARCH = 0.2


def resing(
    samples: FloatArray, rate: int, pitch: FloatArray, ratio: FloatArray, formants: float
) -> FloatArray:
    """Return a voice with its pitch multiplied, in the same time.

    Parameters
    ----------
    samples : (n,) float32
    rate : int
        In Hz.
    pitch : (n,)
        In Hz at each sample; 0 where there is no voice.
    ratio : (n,)
        What each sample's pitch is multiplied with; about 0.5 to 2.
    formants : float
        What the resonances are multiplied with: above 1 for a shorter throat.
    """
    n = samples.size
    marks, periods = _marks(samples, rate, pitch)
    out = np.zeros(n, np.float32)
    windows: dict[int, FloatArray] = {}
    at = float(marks[0])
    index = 0
    while at < n and index < len(marks):
        while index + 1 < len(marks) and abs(marks[index + 1] - at) <= abs(marks[index] - at):
            index += 1
        period, mark = periods[index], marks[index]
        is_voiced = pitch[mark] > 0
        at = at if is_voiced else float(mark)  # noise stays where it is
        half = max(int(period / max(formants, 1.0)), 2)
        window = windows.setdefault(half, np.hanning(2 * half + 1)[1:].astype(np.float32))
        here = round(at)
        step = period / (float(ratio[mark]) if is_voiced else 1.0)
        first, last = max(here - half, 0), min(here + half, n)
        grain = _read(samples, mark + (np.arange(first, last) - here) * formants)
        gain = np.float32(min(step / half, 1.5))
        out[first:last] += grain * window[first - here + half : last - here + half] * gain
        at += step
    return out


def _marks(samples: FloatArray, rate: int, pitch: FloatArray) -> tuple[list[int], list[float]]:
    """Return the peak of each period, and the periods, in samples."""
    n = samples.size
    peaks = samples if _is_upward(samples) else -samples
    marks: list[int] = []
    periods: list[float] = []
    at = 0.0
    while at < n:
        here = int(at)
        is_voiced = pitch[here] > 0
        period = rate / float(pitch[here]) if is_voiced else float(round(_UNVOICED_S * rate))
        if is_voiced:
            reach = int(_SEARCH * period)
            first = max(here - reach, 0)
            here = first + int(np.argmax(peaks[first : here + reach + 1]))
        if marks and here <= marks[-1]:
            here = marks[-1] + 1
        marks.append(min(here, n - 1))
        periods.append(period)
        at = max(here + period, at + 0.5 * period)
    return marks, periods


def _is_upward(samples: FloatArray) -> bool:
    """Say whether the voice's peaks point up: a glottal pulse has one direction."""
    return float(np.mean(samples.astype(np.float64) ** 3)) >= 0


def _read(samples: FloatArray, at: npt.NDArray[np.floating]) -> FloatArray:
    """Read between samples, linearly; silence beyond the ends."""
    at = np.clip(at, 0, samples.size - 2)
    whole = at.astype(np.int64)
    share = (at - whole).astype(np.float32)
    return samples[whole] * (1 - share) + samples[whole + 1] * share
