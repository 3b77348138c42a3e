"""Effects that make sounds of samples and synthesizers as varied as recorded ones.

All take and give float32 arrays (channels, n) at 44.1 kHz, leave their argument as it is and draw
their settings from the generator that they get: the same generator gives the same bits. They are
written to be fast, because training mixes its examples while it learns: linear effects are one
multiplication of spectra, gains that move are computed at a low rate.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import av
import numpy as np
from scipy import fft, signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Sound = NDArray[np.float32]

RATE = 44_100
# Gains that move are computed once per this many samples (5.8 ms).
_HOP = 256


def mono(sound: Sound) -> Sound:
    """Return the mean of the channels, (1, n)."""
    return np.asarray(sound.mean(axis=0, keepdims=True), np.float32)


def stereo(sound: Sound) -> Sound:
    """Return two channels, (2, n): a mono sound stands in the middle."""
    return np.repeat(sound, 2, axis=0) if sound.shape[0] == 1 else sound


def level(sound: Sound) -> float:
    """Return the root mean square of the samples that are not silence; 0 for silence."""
    power = np.square(sound).mean(axis=0)
    blocks = power[: power.size // _HOP * _HOP].reshape(-1, _HOP).mean(axis=1)
    loud = blocks[blocks > 1e-4 * max(float(blocks.max(initial=0.0)), 1e-12)]
    return float(np.sqrt(loud.mean())) if loud.size else 0.0


def at_level(sound: Sound, level_db: float) -> Sound:
    """Return the sound with its `level` at `level_db` (0 dB is full scale); silence stays."""
    now = level(sound)
    return sound if now == 0.0 else sound * np.float32(10 ** (level_db / 20) / now)


def shape_spectrum(sound: Sound, hertz: Sequence[float], gains_db: Sequence[float]) -> Sound:
    """Filter with gains that run smoothly (over the logarithm of frequency) through points.

    The filter has zero phase and about 0.1 s of support; beyond the points their ends hold.
    """
    length = 8192
    bins = np.maximum(fft.rfftfreq(length, 1 / RATE), 1.0)
    gains = 10 ** (np.interp(np.log(bins), np.log(hertz), gains_db) / 20)
    response = fft.irfft(gains, length)
    window = np.roll(signal.windows.hann(length, sym=False), length // 2)
    kernel = np.roll(response * window, length // 2).astype(np.float32)
    n = sound.shape[1]
    return _convolve(sound, kernel[np.newaxis])[:, length // 2 : length // 2 + n]


def equalize(rng: np.random.Generator, sound: Sound, amount_db: float = 5.0) -> Sound:
    """Colour with a random curve over ten bands, about `amount_db` up and down."""
    hertz = np.geomspace(40, 16_000, 10)
    curve = rng.normal(0.0, amount_db / 2, hertz.size) + rng.normal(
        0.0, amount_db / 2
    ) * np.linspace(-1, 1, hertz.size)
    return shape_spectrum(sound, list(hertz), list(np.clip(curve, -2 * amount_db, 2 * amount_db)))


def low_pass(sound: Sound, hertz: float, order: int = 2) -> Sound:
    """Take away what lies above `hertz` (Butterworth)."""
    return _butterworth(sound, min(hertz, 0.49 * RATE), "lowpass", order)


def high_pass(sound: Sound, hertz: float, order: int = 2) -> Sound:
    """Take away what lies below `hertz` (Butterworth)."""
    return _butterworth(sound, hertz, "highpass", order)


def room(
    rng: np.random.Generator,
    sound: Sound,
    *,
    seconds: tuple[float, float] = (0.15, 1.2),
    wet: tuple[float, float] = (0.03, 0.35),
) -> Sound:
    """Place the sound in a synthetic room: early reflections and a decaying, darkening tail.

    The tail is noise whose bands die away exponentially (Moorer 1979), another for each ear.

    Parameters
    ----------
    seconds : pair
        Range of the time in which the tail falls by 60 dB.
    wet : pair
        Range of the energy of the room in proportion to that of the direct sound.

    Returns
    -------
    array
        (2, n), the direct sound unchanged in it.
    """
    decay_s = float(np.exp(rng.uniform(*np.log(seconds))))
    length = int(min(decay_s * 0.8, 1.0) * RATE)
    times = np.arange(length) / RATE
    tail = rng.standard_normal((2, length), dtype=np.float32)
    dark = _one_pole(tail, float(rng.uniform(0.3, 0.85)))
    tail *= np.exp(-6.9 * times / (decay_s * rng.uniform(0.3, 0.7))).astype(np.float32)
    tail += 1.5 * dark * np.exp(-6.9 * times / decay_s).astype(np.float32)
    begin = int(rng.uniform(0.001, 0.03) * RATE)
    tail[:, :begin] = 0.0
    for _ in range(int(rng.integers(3, 9))):
        at = int(rng.uniform(0.001, 0.05) * RATE)
        if at < length:
            tail[:, at] += rng.uniform(-1, 1, 2) * 8.0 * np.exp(-at / (0.02 * RATE))
    tail *= np.float32(np.sqrt(rng.uniform(*wet) / float(np.square(tail).sum(axis=1).mean())))
    dry = stereo(sound)
    return dry + _convolve(mono(sound), tail)[:, : sound.shape[1]]


def saturate(sound: Sound, drive: float, bias: float = 0.0) -> Sound:
    """Bend the sound with tanh; `drive` is the gain before it, `bias` adds even harmonics.

    Its `level` stays about the same, and silence stays silent.
    """
    loud = level(sound)
    if loud == 0.0:
        return sound
    gain = np.float32(drive / loud)
    bent = np.tanh(sound * gain + np.float32(bias)) - np.float32(np.tanh(bias))
    return np.asarray(bent * np.float32(loud / max(level(bent), 1e-9)), np.float32)


def cabinet(rng: np.random.Generator, sound: Sound) -> Sound:
    """Colour as a loudspeaker cabinet with a microphone does: a hump, a presence, no treble."""
    low, top = rng.uniform(70, 130), rng.uniform(3500, 6500)
    presence = rng.uniform(1800, 3500)
    hertz = [low / 2, low, 2 * low, 500, 1000, presence, top, 1.5 * top, 3 * top]
    gains = [-18, rng.uniform(-3, 3), 2, rng.uniform(-6, 2), rng.uniform(-3, 2)]
    gains += [rng.uniform(0, 7), 0, -16, -45]
    comb = _comb(rng, sound) if rng.random() < 0.5 else sound
    return shape_spectrum(comb, hertz, gains)


def amplify(rng: np.random.Generator, sound: Sound, gain: str) -> Sound:
    """Play through a guitar amplifier: tone, wave shaper(s), cabinet.

    `gain` is "clean", "crunch" or "high".
    """
    drives = {"clean": (0.1, 0.5), "crunch": (0.7, 3.0), "high": (4.0, 25.0)}
    drive = float(np.exp(rng.uniform(*np.log(drives[gain]))))
    played = high_pass(sound, rng.uniform(60, 250 if gain == "high" else 110), 1)
    played = saturate(played, drive, rng.uniform(0.0, 0.4))
    if gain == "high":
        played = saturate(low_pass(played, rng.uniform(4000, 9000), 1), rng.uniform(0.7, 2.0))
    return cabinet(rng, played)


def compress(rng: np.random.Generator, sound: Sound) -> Sound:
    """Even out the level, with drawn threshold, ratio and times."""
    power = np.square(sound).mean(axis=0)
    blocks = power[: power.size // _HOP * _HOP].reshape(-1, _HOP).mean(axis=1)
    if blocks.size < 2 or blocks.max() <= 1e-10:
        return sound
    envelope = _follow(
        np.sqrt(blocks),
        rng.uniform(0.005, 0.03) * RATE / _HOP,
        rng.uniform(0.05, 0.3) * RATE / _HOP,
    )
    threshold = float(np.quantile(envelope, rng.uniform(0.3, 0.8))) + 1e-6
    slope = 1 / float(rng.uniform(1.5, 6.0)) - 1
    gains = np.maximum(envelope / threshold, 1.0) ** slope
    return sound * _stretch(gains, sound.shape[1])


def place(rng: np.random.Generator, sound: Sound, spread: float = 0.8) -> Sound:
    """Pan to a drawn place within `spread` of the middle (0 to 1), by level; (2, n)."""
    angle = (1 + float(rng.uniform(-spread, spread)) * float(rng.random() < 0.75)) * np.pi / 4
    both = stereo(sound)
    return both * np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * np.float32(np.sqrt(2))


def widen(sound: Sound, width: float) -> Sound:
    """Scale what differs between left and right: 0 is mono, 1 leaves all as it is."""
    middle = mono(sound)
    return middle + (stereo(sound) - middle) * np.float32(width)


def chorus(rng: np.random.Generator, sound: Sound) -> Sound:
    """Add copies whose delay sways, another for each side; (2, n)."""
    dry = stereo(sound)
    wet = np.stack([_swaying(rng, side) for side in dry])
    return dry + wet * np.float32(rng.uniform(0.3, 1.0))


def double(rng: np.random.Generator, first: Sound, second: Sound) -> Sound:
    """Stand two takes of the same part left and right, the second a little late; (2, n)."""
    late = int(rng.uniform(0.002, 0.025) * RATE)
    other = np.zeros_like(second)
    other[:, late:] = second[:, : second.shape[1] - late]
    pair = np.concatenate([mono(first), mono(other)])
    return widen(pair if rng.random() < 0.5 else pair[::-1], float(rng.uniform(0.5, 1.0)))


def delay(rng: np.random.Generator, sound: Sound, beat_s: float | None = None) -> Sound:
    """Add repeats that fade and darken, in time with the beat where one is given; (2, n)."""
    if beat_s is None:
        step_s = float(rng.uniform(0.08, 0.6))
    else:
        step_s = beat_s * float(rng.choice([0.25, 0.5, 0.75, 1.0]))
    step = max(int(step_s * RATE), 1)
    gain, feedback = rng.uniform(0.15, 0.6), rng.uniform(0.15, 0.6)
    ping = float(rng.uniform(0, 0.9)) * float(rng.random() < 0.4)
    out, n = stereo(sound).copy(), sound.shape[1]
    repeat = low_pass(stereo(sound), rng.uniform(2000, 9000), 1)
    for turn in range(1, 6):
        if turn * step >= n or gain < 0.02:
            break
        sides = np.array([[1 + ping], [1 - ping]], np.float32)[:: 1 if turn % 2 else -1]
        out[:, turn * step :] += repeat[:, : n - turn * step] * sides * np.float32(gain)
        gain *= feedback
    return out


def wah(rng: np.random.Generator, sound: Sound, beat_s: float | None = None) -> Sound:
    """Sweep a resonance: by the player's loudness (auto-wah) or by a foot in time."""
    frames = 1 + sound.shape[1] // _HOP
    if rng.random() < 0.5:
        power = np.square(np.pad(mono(sound)[0], (0, _HOP))).reshape(-1)[: frames * _HOP]
        loud = np.sqrt(power.reshape(frames, _HOP).mean(axis=1))
        opened = _follow(loud, 4.0, rng.uniform(10, 50))
        opened /= max(float(opened.max()), 1e-9)
        opened **= rng.uniform(0.5, 1.0)
    else:
        period = (beat_s or 0.5) * float(rng.choice([0.5, 1.0, 2.0]))
        turns = np.arange(frames) * _HOP / RATE / period + rng.random()
        opened = 0.5 - 0.5 * np.cos(2 * np.pi * turns)
    low, high = rng.uniform(300, 550), rng.uniform(1500, 2800)
    centres = low * (high / low) ** opened
    return _moving_filter(sound, _resonances(centres, float(rng.uniform(3, 9))))


def phaser(rng: np.random.Generator, sound: Sound) -> Sound:
    """Mix with a copy through all-pass stages that sway: notches move through the spectrum."""
    frames = 1 + sound.shape[1] // _HOP
    turns = np.arange(frames) * _HOP / RATE * rng.uniform(0.1, 2.0) + rng.random()
    centres = rng.uniform(300, 900) * 4 ** (0.5 + 0.5 * np.sin(2 * np.pi * turns))
    # Each stage turns the phase by twice the arc tangent; half of all is what the sum feels.
    turned = int(rng.choice([2, 4, 6])) * np.arctan(_ratios(centres))
    dry = float(rng.uniform(0.05, 0.5))
    return _moving_filter(sound, dry + (1 - dry) * np.abs(np.cos(turned)))


def tremolo(rng: np.random.Generator, sound: Sound, beat_s: float | None = None) -> Sound:
    """Let the loudness sway, in time with the beat or not, from side to side or not; (2, n)."""
    rate_hz = float(rng.uniform(2.5, 9.0))
    if beat_s is not None and rng.random() < 0.5:
        rate_hz = float(rng.choice([1, 2, 4])) / beat_s
    turns = np.arange(0, sound.shape[1] + 2 * _HOP, _HOP) / RATE * rate_hz + rng.random()
    waves = np.sin(2 * np.pi * turns), np.sin(2 * np.pi * turns + rng.choice([0, 0, np.pi]))
    deep = float(rng.uniform(0.2, 0.9))
    gains = [_stretch(1 - deep * (0.5 + 0.5 * wave), sound.shape[1]) for wave in waves]
    return np.asarray(stereo(sound) * np.stack(gains), np.float32)


def sweep_low_pass(sound: Sound, hertz: NDArray[np.floating], sharpness: float) -> Sound:
    """Filter with a resonant low-pass whose corner moves; one frequency for each sample, (n,)."""
    square = np.square(_ratios(hertz[::_HOP]))
    gains = 1 / np.sqrt(np.square(1 - square) + square / np.float32(sharpness) ** 2)
    return _moving_filter(sound, gains)


def mp3(rng: np.random.Generator, sound: Sound) -> Sound:
    """Encode as MP3 at a drawn bit rate and decode again, in the same place; for mixtures."""
    rate_kbps = int(rng.choice([96, 128, 160, 192, 256, 320]))
    both = np.ascontiguousarray(np.clip(stereo(sound), -1, 1), np.float32)
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as output:
        stream = output.add_stream("libmp3lame", rate=RATE, bit_rate=rate_kbps * 1000)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(both, format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    file.seek(0)
    with av.open(file, "r") as coded:
        decoded = np.concatenate([f.to_ndarray() for f in coded.decode(audio=0)], axis=1)
    out = np.zeros_like(both)
    n = min(out.shape[1], decoded.shape[1])
    out[:, :n] = decoded[:, :n]
    return out


def _convolve(sound: Sound, kernels: Sound) -> Sound:
    """Convolve each channel with its kernel (or all with the one); full length."""
    n = sound.shape[1] + kernels.shape[1] - 1
    size = fft.next_fast_len(n, real=True)
    product = fft.rfft(sound, size) * fft.rfft(kernels, size)
    return np.asarray(fft.irfft(product, size)[:, :n], np.float32)


def _butterworth(sound: Sound, hertz: float, kind: str, order: int) -> Sound:
    sections = signal.butter(order, hertz, kind, fs=RATE, output="sos").astype(np.float32)
    return np.asarray(signal.sosfilt(sections, sound, axis=1), np.float32)


def _one_pole(sound: Sound, pole: float) -> Sound:
    """Smooth with one pole, its energy kept for white noise."""
    gain = np.sqrt(1 - pole * pole)
    filtered = signal.lfilter([np.float32(gain)], np.array([1, -pole], np.float32), sound, axis=1)
    return np.asarray(filtered, np.float32)


def _comb(rng: np.random.Generator, sound: Sound) -> Sound:
    """Add one early reflection (0.2 to 1.5 ms), as of a microphone off the cone."""
    late = int(rng.uniform(0.0002, 0.0015) * RATE)
    out = sound.copy()
    out[:, late:] += sound[:, : sound.shape[1] - late] * np.float32(rng.uniform(-0.5, 0.5))
    return out


def _follow(values: NDArray[np.floating], attack: float, release: float) -> NDArray[np.float64]:
    """Follow values quickly upward and slowly downward; times in steps."""
    up, down = 1 - np.exp(-1 / attack), 1 - np.exp(-1 / release)
    followed, now = np.empty(values.size), 0.0
    for index, value in enumerate(values.tolist()):
        now += (value - now) * (up if value > now else down)
        followed[index] = now
    return followed


def _stretch(gains: NDArray[np.floating], n: int) -> Sound:
    """Give each sample its gain, linearly between the middles of the blocks; (n,)."""
    ramp = gains.astype(np.float32)
    ramp = np.concatenate([ramp, ramp[-1:], ramp[-1:]])
    share = (np.arange(_HOP, dtype=np.float32) / _HOP)[np.newaxis]
    steps = ramp[:-1, np.newaxis] + np.diff(ramp)[:, np.newaxis] * share
    whole = steps.reshape(-1)
    if whole.size < n:
        whole = np.pad(whole, (0, n - whole.size), mode="edge")
    return np.asarray(whole[:n], np.float32)


def _swaying(rng: np.random.Generator, side: Sound) -> Sound:
    """Return one channel with a delay of some milliseconds that sways; (n,)."""
    n = side.size
    turns = np.arange(0, n + 2 * _HOP, _HOP) / RATE * rng.uniform(0.15, 3.0) + rng.random()
    sway = rng.uniform(0.0005, 0.004) * RATE * (1 + np.sin(2 * np.pi * turns))
    late = _stretch(sway + rng.uniform(0.004, 0.015) * RATE, n)
    at = np.maximum(np.arange(n, dtype=np.float32) - late, 0.0)
    whole = at.astype(np.int64)
    share = (at - whole).astype(np.float32)
    mixed = side[whole] * (1 - share) + side[np.minimum(whole + 1, n - 1)] * share
    return np.asarray(mixed, np.float32)


def _moving_filter(sound: Sound, gains: Sound) -> Sound:
    """Filter with gains (frames, bins) that move from block to block."""
    size, n = 4 * _HOP, sound.shape[1]
    window = signal.windows.hann(size, sym=False).astype(np.float32)
    padded = np.pad(sound, ((0, 0), (size, 2 * size)))
    views = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::_HOP]
    # A view begins `size` before the sound, so its middle lies two blocks on.
    of_frame = np.clip(np.arange(views.shape[1]) - 2, 0, gains.shape[0] - 1)
    blocks = fft.irfft(fft.rfft(views * window) * gains[of_frame], size) * window
    out = np.zeros((sound.shape[0], padded.shape[1] + size), np.float32)
    for part in range(4):
        line = blocks[:, part::4].reshape(sound.shape[0], -1)
        out[:, part * _HOP : part * _HOP + line.shape[1]] += line
    return np.asarray(out[:, size : size + n] / 1.5, np.float32)


def _ratios(centres: NDArray[np.floating]) -> Sound:
    """Return the frequency of each bin in proportion to the centre of each frame."""
    bins = np.maximum(fft.rfftfreq(4 * _HOP, 1 / RATE), 1.0).astype(np.float32)
    return np.asarray(bins / centres[:, np.newaxis].astype(np.float32), np.float32)


def _resonances(centres: NDArray[np.floating], sharpness: float) -> Sound:
    """Return the gains of a resonant second-order band-pass, with some of the dry sound."""
    ratio = _ratios(centres)
    apart = np.square(np.float32(sharpness) * (ratio - 1 / ratio))
    return np.asarray(0.08 + 1 / np.sqrt(1 + apart), np.float32)
