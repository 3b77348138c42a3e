"""Takes the sound of the room out: what is late of it goes, what comes at once stays.

Six seconds at a time. First what can be predicted of each bin, from what was heard there 46 to
740 ms before, is subtracted; then a network of masks (see `separation.engines.masknet`) says of 192
bands how much of what is left is the sound itself with its early reflections, 50 ms of them. All
channels have the same gains: what stands where stays.

References
----------
Nakatani et al.: Speech Dereverberation Based on Variance-Normalized Delayed Linear Prediction,
IEEE TASLP 18(7), 2010, https://doi.org/10.1109/TASL.2010.2052251
Drude et al.: NARA-WPE, ITG 2018
"""

from __future__ import annotations

import numpy as np
import torch
from nara_wpe.wpe import wpe_v8
from torch.nn import functional

from separation import catalog
from separation.audio.buffer import SampleBuffer
from separation.engines.masknet.bands import SAMPLE_RATE, Bands
from separation.engines.masknet.files import load_network
from separation.enhance.steps import FloatArray

MODEL = "late-reverb"
_KEPT = 0  # the network's class of what stays

# Of linear prediction: frames that are heard of the past and left out of it (as far as windows
# overlap), how often the level is estimated anew, and up to where it is worth its time.
_TAPS, _DELAY, _ITERATIONS, _TOP_HZ = 60, 4, 2, 8000
# Added to what is predicted from, of its loudest frame: silence cannot be divided by.
_FLOOR = 1e-5

# Frames of 12 ms: as many are finished at once, and so many more on both sides are heard.
_INNER, _CONTEXT = 416, 48
# Frames over which the gains of one stretch give way to those of the next, on each side.
_FADE = 16


class Dereverberator:
    """A step (see `separation.enhance.Step`) that takes late reverberation out.

    Parameters
    ----------
    sample_rate : int, Hz
    channels : int
    device : str
    predicts : bool
        Whether linear prediction comes first.
    strength : float
        0..1, how much of what the network takes out goes.

    Raises
    ------
    SeparationError
        If its weights are missing.
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        device: str = "cpu",
        predicts: bool = True,
        strength: float = 1.0,
    ) -> None:
        self._predicts, self._strength = predicts, strength
        self._network = load_network(catalog.tool(MODEL), device)
        shape = self._network.shape
        self._bands = Bands(shape.n_fft, shape.hop, shape.n_bands, shape.top_hz).to(device)
        self._device = device
        # Frames as long as the network's, so that bins are as far apart, whatever the rate.
        self._hop = max(1, round(shape.hop * sample_rate / SAMPLE_RATE))
        self._n_fft = shape.n_fft // shape.hop * self._hop
        self._n_predicted = round(_TOP_HZ / sample_rate * self._n_fft) + 1  # bins
        self._window = torch.hann_window(self._n_fft, device=device)
        self._waiting = SampleBuffer(channels)
        self._waiting.append(np.zeros((channels, _CONTEXT * self._hop), np.float32))
        self._fading: FloatArray | None = None  # what the last stretch made of the next one's start
        self._n_left = 0  # samples that have gone in and not come out

    def push(self, block: FloatArray) -> FloatArray:
        """Take (channels, n) samples; return those that are ready, which may be none."""
        self._n_left += block.shape[1]
        self._waiting.append(block)
        inner, context = _INNER * self._hop, _CONTEXT * self._hop
        ready = [block[:, :0]]
        while len(self._waiting) >= inner + 2 * context:
            stretch = self._waiting.peek(0, inner + 2 * context)
            ready.append(self._finished(self._dry(stretch), inner))
            self._waiting.drop(inner)
        return np.concatenate(ready, axis=1)

    def flush(self) -> FloatArray:
        """Return the rest: exactly as many samples have come out then as went in."""
        stretch = self._waiting.peek(0, len(self._waiting))
        if not self._n_left:
            return stretch[:, :0].copy()
        missing = max(0, 2 * self._n_fft - stretch.shape[1])
        dry = self._dry(np.pad(stretch, ((0, 0), (0, missing))))
        n = stretch.shape[1] - _CONTEXT * self._hop
        self._waiting.drop(len(self._waiting))
        return self._finished(dry, n + _FADE * self._hop)

    def _finished(self, dry: FloatArray, n: int) -> FloatArray:
        """Return what comes next, of a stretch with the context before it, all of it dry."""
        fade, start = _FADE * self._hop, _CONTEXT * self._hop
        part = dry[:, start - fade : start - fade + n].copy()
        if self._fading is None:
            part = part[:, fade:]
        else:
            rising = np.linspace(0, 1, 2 * fade, dtype=np.float32)
            n_both = min(2 * fade, part.shape[1])
            part[:, :n_both] *= rising[:n_both]
            part[:, :n_both] += (self._fading * (1 - rising))[:, :n_both]
        self._fading = dry[:, start - fade + n : start + fade + n].copy()
        part = part[:, : self._n_left]
        self._n_left -= part.shape[1]
        return part

    @torch.inference_mode()
    def _dry(self, samples: FloatArray) -> FloatArray:
        """Return (channels, n) samples without their late reverberation."""
        n = samples.shape[1]
        signal = torch.from_numpy(np.ascontiguousarray(samples)).to(self._device)
        options = {"window": self._window, "pad_mode": "constant", "return_complex": True}
        spectrum = torch.stft(signal, self._n_fft, self._hop, **options)  # type: ignore[arg-type]
        if self._predicts:
            spectrum = self._unpredictable(spectrum)
        gains = self._gains(spectrum) * self._strength + (1 - self._strength)
        dry = torch.istft(spectrum * gains, self._n_fft, self._hop, window=self._window, length=n)
        result: FloatArray = dry.cpu().numpy()
        return result

    def _unpredictable(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return what each channel's past does not foretell of (channels, bins, frames)."""
        heard = spectrum[:, : self._n_predicted].cpu().numpy().astype(np.complex128)
        flat = heard.reshape(len(heard), -1)
        loudest = flat[np.arange(len(flat)), np.abs(flat).argmax(axis=1)][:, None, None]
        if not loudest.any():
            return spectrum
        noise = np.random.default_rng(0).standard_normal((*heard.shape[1:], 2))
        heard += _FLOOR * loudest * noise.view(np.complex128)[..., 0]
        new = wpe_v8(heard[:, :, None], _TAPS, _DELAY, _ITERATIONS)[:, :, 0]
        changed = spectrum.clone()
        changed[:, : self._n_predicted] = torch.from_numpy(new.astype(np.complex64))
        return changed

    def _gains(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return what is kept of each bin, (bins, frames), of (channels, bins, frames)."""
        n_bins, n_frames = spectrum.shape[1:]
        shape = self._network.shape
        n_heard = shape.n_fft // 2 + 1
        # The network hears two channels, of 44.1 kHz: silence where this rate has nothing.
        heard = spectrum[[0, -1], :n_heard]
        heard = functional.pad(heard, (0, 0, 0, n_heard - heard.shape[1]))
        features, _ = self._bands.features(heard)
        missing = -n_frames % shape.frames_multiple
        padded = functional.pad(features[None], (0, missing, 0, 0), mode="replicate")
        kept = self._network(padded)[0, _KEPT].mean(dim=0)[:, :n_frames]
        gains = self._bands.spread(kept)
        missing = max(0, n_bins - n_heard)
        return functional.pad(gains[None], (0, 0, 0, missing), mode="replicate")[0, :n_bins]
