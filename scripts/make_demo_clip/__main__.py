"""Make demo/clip.flac and demo/stems/*.flac."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from scipy import signal

from separation.training.voices.kokoro import VOICE_RATE

from . import effects
from .band import PARTS, SAMPLE_RATE, part_render
from .effects import Audio
from .ingredients import VoiceModel, soundfont_find, voice_model_fetch
from .score import CLIP_S, HARMONY, LEAD, Syllable
from .voice import Singer, line_sing

SEED = 20
STEMS = ("vocals", "drums", "bass", "other")
PEAK_DBFS = -1.0
N_SAMPLES = round(CLIP_S * SAMPLE_RATE)

# Loudness of each stem, as RMS over the clip in dB; the voice a little above the band.
STEM_DB = {"vocals": -15.0, "drums": -18.0, "bass": -19.0, "other": -19.5}
FADE_OUT_S = 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "make_demo_clip",
        help="where the voice model is kept between runs",
    )  # fmt: skip
    arguments = parser.parse_args()
    soundfont = soundfont_find()
    model = voice_model_fetch(arguments.cache)

    with tempfile.TemporaryDirectory() as work:
        band = band_record(soundfont, Path(work))
    stems = {
        "vocals": vocals_mix(model),
        "drums": drums_mix(band["drums"]),
        "bass": bass_mix(band["bass"]),
        "other": other_mix(band),
    }
    pcm = master({name: stems[name] for name in STEMS})
    write(pcm, arguments.out)


def band_record(soundfont: Path, work: Path) -> dict[str, Audio]:
    # One generator per part: changing one part leaves the others as they are.
    return {
        name: part_render(
            part, soundfont=soundfont, work=work, name=name, rng=np.random.default_rng([SEED, i])
        ).astype(np.float64)
        for i, (name, part) in enumerate(PARTS.items())
    }


def vocals_mix(model: VoiceModel) -> Audio:
    singer = Singer(model.weights)
    lead = _voice_record(singer, LEAD, model.lead, take=1)
    double = _voice_record(singer, LEAD[2:], model.lead, take=2)
    harmony = _voice_record(singer, HARMONY, model.harmony, take=3)

    lead_bus = _voice_channel(effects.pan(lead, 0.0))
    # The double is heard as width, not as a second singer: late, quiet and to the sides.
    sides = _voice_channel(effects.pan(double, -0.55))
    sides = 0.30 * effects.delay(sides, 0.013)
    sides += 0.45 * effects.delay(_voice_channel(effects.pan(harmony, 0.45)), 0.008)

    bus = lead_bus + sides
    plate = effects.room(seed=SEED, decay_s=1.4, pre_delay_s=0.03, bright_hz=7_000)
    echo = 0.12 * effects.low_pass(effects.delay(bus, 0.25), 3_000)
    return effects.reverb(bus + echo, plate, wet=0.16)


def _voice_record(
    singer: Singer, lines: tuple[tuple[Syllable, ...], ...], speaker: Path, *, take: int
) -> Audio:
    """All lines on one mono track at 44.1 kHz."""
    rng = np.random.default_rng([SEED, 100 + take])
    track = np.zeros(round(CLIP_S * VOICE_RATE))
    for line in lines:
        start_s, audio = line_sing(singer, line=line, speaker=speaker, rng=rng)
        at = round(start_s * VOICE_RATE)
        n = min(len(audio), len(track) - at)
        track[at : at + n] += audio[:n]
    resampled = signal.resample_poly(track, 147, 80)  # 24 kHz -> 44.1 kHz
    return np.asarray(resampled[:N_SAMPLES])


def _voice_channel(audio: Audio) -> Audio:
    audio = effects.high_pass(audio, 110, order=4)
    audio = effects.ride(audio, target_db=-20, strength=0.75, window_s=0.30)
    audio *= effects.compressor_gain(
        audio, threshold_db=-24, ratio=3.0, attack_s=0.006, release_s=0.12
    )
    audio = effects.saturate(audio * 1.5, 1.2)  # rounds off the bursts of d and t
    audio = effects.bell(audio, 320, -2.0, q=0.9)
    audio = effects.bell(audio, 3_200, 2.5, q=0.8)
    return effects.air(audio, 0.5)


def drums_mix(drums: Audio) -> Audio:
    drums = effects.bell(drums, 62, 3.0, q=1.0)
    drums = effects.bell(drums, 380, -3.0, q=0.9)
    drums = effects.bell(drums, 7_500, 2.5, q=0.7)
    # Parallel compression: body from the squashed copy, attack from the untouched one.
    drums = drums / np.max(np.abs(drums))
    squashed = drums * effects.compressor_gain(
        drums, threshold_db=-32, ratio=6.0, attack_s=0.004, release_s=0.10
    )
    bus = effects.saturate(drums + 0.8 * squashed, 0.9)
    studio = effects.room(seed=SEED + 1, decay_s=0.45, pre_delay_s=0.005, bright_hz=9_000)
    return effects.reverb(bus, studio, wet=0.10)


def bass_mix(bass: Audio) -> Audio:
    mono = np.mean(bass, axis=0)
    bass = np.stack([mono, mono]) / np.max(np.abs(mono))
    bass = bass * effects.compressor_gain(
        bass, threshold_db=-20, ratio=4.0, attack_s=0.012, release_s=0.15
    )
    # The amplifier: overtones let the line be heard on small loudspeakers.
    driven = effects.low_pass(effects.saturate(bass * 3.0, 1.6), 2_800)
    bass = effects.high_pass(0.8 * bass + 0.25 * driven, 32)
    return effects.bell(bass, 850, 2.0, q=0.9)


def other_mix(band: dict[str, Audio]) -> Audio:
    guitar = effects.high_pass(band["guitar"], 110)
    # Double tracking from one take: the right channel hears the left one a little later.
    guitar = np.stack([guitar[0], effects.delay(guitar, 0.014)[1]])
    guitar = effects.bell(guitar, 2_600, -2.0, q=0.7)
    keys = effects.bell(effects.high_pass(band["keys"], 140), 900, -1.5, q=0.8)
    strings = effects.high_pass(band["strings"], 200)
    lead = effects.saturate(6.0 * effects.high_pass(band["lead_guitar"], 160), 1.2) / 4.0
    lead = lead + 0.25 * effects.delay(lead, 0.375)
    bus = 1.0 * guitar + 0.7 * keys + 0.6 * strings + 0.7 * lead
    hall = effects.room(seed=SEED + 2, decay_s=1.6, pre_delay_s=0.02, bright_hz=6_000)
    return effects.reverb(bus, hall, wet=0.14)


def master(stems: dict[str, Audio]) -> dict[str, npt.NDArray[np.int16]]:
    """Balance, glue and quantise so that the 16-bit mixture is exactly the sum of the stems.

    The bus compressor listens to the mixture, and its one gain goes to every stem: the sum of the
    stems stays the mixture.
    """
    fade = np.ones(N_SAMPLES)
    n_fade = round(FADE_OUT_S * SAMPLE_RATE)
    fade[-n_fade:] = np.cos(np.linspace(0, np.pi / 2, n_fade)) ** 2
    balanced = {
        name: audio * fade * 10 ** (STEM_DB[name] / 20) / np.sqrt(np.mean(audio**2))
        for name, audio in stems.items()
    }
    mixture = np.sum(list(balanced.values()), axis=0)
    glue = effects.compressor_gain(
        mixture, threshold_db=-13, ratio=2.0, attack_s=0.01, release_s=0.15
    )
    limit = effects.compressor_gain(
        mixture * glue, threshold_db=-6, ratio=8.0, attack_s=0.0008, release_s=0.06
    )
    gain = glue * limit
    # Half a step per stem of rounding must not lift the peak above the ceiling.
    ceiling = round(32_767 * 10 ** (PEAK_DBFS / 20)) - len(stems) / 2
    scale = ceiling / np.max(np.abs(mixture * gain))
    return {
        name: np.round(audio * gain * scale).astype(np.int16) for name, audio in balanced.items()
    }


def write(stems: dict[str, npt.NDArray[np.int16]], out: Path) -> None:
    mixture = np.sum([pcm.astype(np.int32) for pcm in stems.values()], axis=0)
    if np.max(np.abs(mixture)) > 32_767:
        raise RuntimeError("the mixture clips")
    (out / "stems").mkdir(parents=True, exist_ok=True)
    for name, pcm in stems.items():
        soundfile.write(out / "stems" / f"{name}.flac", pcm.T, SAMPLE_RATE, subtype="PCM_16")
    soundfile.write(out / "clip.flac", mixture.astype(np.int16).T, SAMPLE_RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
