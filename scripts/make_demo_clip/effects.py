"""Studio effects, small and plain. All audio is (2, samples) float at 44.1 kHz unless said."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import signal

Audio = npt.NDArray[np.float64]

SAMPLE_RATE = 44_100
_BLOCK = 64


def high_pass(audio: Audio, cutoff_hz: float, order: int = 2) -> Audio:
    sos = signal.butter(order, cutoff_hz, "highpass", fs=SAMPLE_RATE, output="sos")
    return np.asarray(signal.sosfilt(sos, audio, axis=-1))


def low_pass(audio: Audio, cutoff_hz: float, order: int = 2) -> Audio:
    sos = signal.butter(order, cutoff_hz, "lowpass", fs=SAMPLE_RATE, output="sos")
    return np.asarray(signal.sosfilt(sos, audio, axis=-1))


def bell(audio: Audio, centre_hz: float, gain_db: float, q: float = 1.0) -> Audio:
    """Peaking equaliser.

    References
    ----------
    R. Bristow-Johnson, Audio EQ Cookbook, https://www.w3.org/TR/audio-eq-cookbook/
    """
    a = 10 ** (gain_db / 40)
    w = 2 * np.pi * centre_hz / SAMPLE_RATE
    alpha = np.sin(w) / (2 * q)
    numerator = [1 + alpha * a, -2 * np.cos(w), 1 - alpha * a]
    denominator = [1 + alpha / a, -2 * np.cos(w), 1 - alpha / a]
    return np.asarray(signal.lfilter(numerator, denominator, audio, axis=-1))


def level(audio: Audio) -> Audio:
    """Loudness in dB of each block of 64 samples, both channels together."""
    n_blocks = -(-audio.shape[-1] // _BLOCK)
    padded = np.pad(audio, ((0, 0), (0, n_blocks * _BLOCK - audio.shape[-1])))
    power = np.mean(padded.reshape(2, n_blocks, _BLOCK) ** 2, axis=(0, 2))
    return np.asarray(10 * np.log10(power + 1e-10))


def compressor_gain(
    audio: Audio, *, threshold_db: float, ratio: float, attack_s: float, release_s: float
) -> Audio:
    """The gain of a feed-forward compressor as (samples,), for use on one or on several stems."""
    excess = np.maximum(level(audio) - threshold_db, 0.0)
    block_s = _BLOCK / SAMPLE_RATE
    attack, release = np.exp(-block_s / attack_s), np.exp(-block_s / release_s)
    smooth = np.empty_like(excess)
    state = 0.0
    for i, x in enumerate(excess):
        keep = attack if x > state else release
        state = keep * state + (1 - keep) * x
        smooth[i] = state
    centres = (np.arange(len(smooth)) + 0.5) * _BLOCK
    gain_db = np.interp(np.arange(audio.shape[-1]), centres, -smooth * (1 - 1 / ratio))
    return np.asarray(10 ** (gain_db / 20))


def ride(audio: Audio, *, target_db: float, strength: float, window_s: float) -> Audio:
    """Ride the fader: move the slow loudness towards ``target_db``, leave silence alone."""
    blocks = level(audio)
    power = 10 ** (blocks / 10)
    window = np.hanning(max(3, round(window_s * SAMPLE_RATE / _BLOCK)))
    slow = 10 * np.log10(np.convolve(power, window / window.sum(), mode="same") + 1e-10)
    wanted = np.where(slow > target_db - 26, (target_db - slow) * strength, 0.0)
    wanted = np.convolve(np.clip(wanted, -12, 15), window / window.sum(), mode="same")
    centres = (np.arange(len(wanted)) + 0.5) * _BLOCK
    gain_db = np.interp(np.arange(audio.shape[-1]), centres, wanted)
    return audio * 10 ** (gain_db / 20)


def saturate(audio: Audio, drive: float) -> Audio:
    """Soft clipping with the small-signal gain kept at one."""
    return np.asarray(np.tanh(audio * drive) / drive)


def air(audio: Audio, amount: float) -> Audio:
    """Harmonics above 9 kHz made from the band below, which a 24 kHz voice model cannot give."""
    band = high_pass(audio, 4_500, order=4)
    harmonics = high_pass(np.abs(band) * np.sign(band) ** 2, 9_000, order=4)
    return audio + amount * harmonics


def delay(audio: Audio, delay_s: float) -> Audio:
    n = round(delay_s * SAMPLE_RATE)
    return np.pad(audio, ((0, 0), (n, 0)))[:, : audio.shape[-1]]


def pan(mono: Audio, position: float) -> Audio:
    """Constant-power panning of (samples,); -1 is left, +1 is right."""
    angle = (position + 1) * np.pi / 4
    return np.asarray(np.stack([mono * np.cos(angle), mono * np.sin(angle)]) * np.sqrt(2))


def room(*, seed: int, decay_s: float, pre_delay_s: float, bright_hz: float) -> Audio:
    """A stereo room: decaying noise, brighter at its start, of unit energy per channel."""
    rng = np.random.default_rng(seed)
    n = round(decay_s * 1.3 * SAMPLE_RATE)
    time_s = np.arange(n) / SAMPLE_RATE
    noise = rng.standard_normal((2, n))
    bright, dark = low_pass(noise, bright_hz), low_pass(noise, bright_hz / 4)
    fast, slow = np.exp(-6.9 * time_s / (decay_s * 0.5)), np.exp(-6.9 * time_s / decay_s)
    response = high_pass(bright * fast + dark * slow, 180)
    response /= np.sqrt(np.sum(response**2, axis=-1, keepdims=True))
    return np.pad(response, ((0, 0), (round(pre_delay_s * SAMPLE_RATE), 0)))


def reverb(audio: Audio, response: Audio, wet: float) -> Audio:
    tail = signal.fftconvolve(audio, response, axes=-1)[:, : audio.shape[-1]]
    return np.asarray(audio + wet * tail)
