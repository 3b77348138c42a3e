"""Generated music whose beats, key and notes are known."""

import numpy as np

RATE = 22050


def clicks(times_s, seconds):
    """Short drum-like sounds, (n,) float32 at 22,050 Hz."""
    random = np.random.default_rng(3)
    samples = np.zeros(int(seconds * RATE), np.float32)
    time_s = np.arange(int(0.1 * RATE)) / RATE
    for at_s in times_s:
        start = round(at_s * RATE)
        low = np.sin(2 * np.pi * (60 * time_s + 2 * (1 - np.exp(-time_s / 0.02))))
        sound = low * np.exp(-time_s / 0.04) + random.normal(0, 0.3, len(time_s)) * np.exp(
            -time_s / 0.01
        )
        n = max(0, min(len(sound), len(samples) - start))
        samples[start : start + n] += 0.6 * sound[:n].astype(np.float32)
    return samples


def played(notes, seconds, *, level=0.2):
    """Notes like those of a piano, from (pitch, start_s, end_s)."""
    samples = np.zeros(int(seconds * RATE), np.float32)
    for pitch, start_s, end_s in notes:
        time_s = np.arange(int((end_s - start_s) * RATE)) / RATE
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        sound = sum(
            0.5**n * np.exp(-time_s * n) * np.sin(2 * np.pi * n * frequency * time_s)
            for n in range(1, 7)
        )
        fade = np.minimum(1, np.minimum(time_s / 0.005, (end_s - start_s - time_s) / 0.02))
        start = round(start_s * RATE)
        samples[start : start + len(time_s)] += (level * sound * fade).astype(np.float32)
    return samples


def noise(seconds, level=0.1):
    return np.random.default_rng(1).normal(0, level, int(seconds * RATE)).astype(np.float32)


def pieces(samples, n):
    """The same samples in blocks of n."""
    return [samples[start : start + n] for start in range(0, len(samples), n)]
