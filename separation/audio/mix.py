"""Several files of one length made one, each as loud and as far to a side as it is set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from separation.audio import formats
from separation.audio.decode import AudioReader
from separation.audio.encode import StemWriter
from separation.audio.formats import OutputFormat
from separation.audio.info import AudioInfo
from separation.audio.segments import stretches
from separation.errors import InvalidRequest, UnsupportedFormat

FloatArray = npt.NDArray[np.float32]

FORMATS = ("wav", "wav24", "wav32f", "flac", "mp3", "m4a")
# Where the peak of a normalised mix lies: 1 dB below full scale, so that what lossy formats and
# converters add between the samples is not cut off.
_NORMAL_PEAK = 10 ** (-1 / 20)
AAC_RATES = frozenset(
    {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
)
_M4A = OutputFormat("m4a", "m4a", "ipod", "aac", "fltp", None, 2, AAC_RATES)
_NAMES = {"wav": "wav16", "flac": "flac24"}


@dataclass(frozen=True, slots=True)
class Voice:
    """A file and how it is heard.

    Attributes
    ----------
    path : path
    gain : float
        What its samples are multiplied by; 0 is silent.
    pan : float
        Where it stands, from -1 (left) to 1 (right); 0 leaves both channels as they are.
    """

    path: Path
    gain: float
    pan: float


@dataclass(frozen=True, slots=True)
class Mixed:
    """What was written: `peak` is the highest sample, 1 being full scale.

    `clipped_samples` were cut off, or will be by whoever decodes a lossy format.
    """

    peak: float
    clipped_samples: int


def mix_format(name: str, info: AudioInfo, *, panned: bool = False) -> OutputFormat:
    """Return how a mix of files like this one is written.

    Parameters
    ----------
    name : str
        One of FORMATS.
    info : AudioInfo
        Of the file with the most channels and bits.
    panned : bool
        Whether any file stands at a side.

    Raises
    ------
    UnsupportedFormat
        If there is no such format, or it cannot hold the rate or the channels.
    InvalidRequest
        If what has more than two channels should stand at a side.
    """
    if name not in FORMATS:
        raise UnsupportedFormat(
            f"There is no format named '{name}'; known formats are {', '.join(FORMATS)}."
        )
    if panned and info.channels > 2:
        raise InvalidRequest("Only mono and stereo can be moved to a side.")
    if name != "m4a":
        # FLAC has as many bits as the files have.
        bits = "flac16" if name == "flac" and info.bits_per_sample == 16 else _NAMES.get(name, name)
        return formats.resolve(bits, info)
    if info.channels > _M4A.max_channels:
        raise UnsupportedFormat(f"M4A holds at most {_M4A.max_channels} channels.")
    if info.sample_rate not in AAC_RATES:
        raise UnsupportedFormat(f"M4A does not support a sample rate of {info.sample_rate} Hz.")
    return _M4A


def write_mix(
    voices: Sequence[Voice],
    output: Path,
    *,
    form: OutputFormat,
    start: int,
    end: int,
    master: float = 1.0,
    normalise: bool = False,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Mixed:
    """Write one file of several, in bounded memory.

    Parameters
    ----------
    voices : sequence of Voice
        Files of one rate; one is enough.
    output : path
        Final name, in an existing folder.
    form : OutputFormat
        See `mix_format`.
    start, end : int, samples
        The stretch to write; a file that is shorter is silent from its end on.
    master : float
        What all of it is multiplied by.
    normalise : bool
        Whether to bring its peak to -1 dBFS, however loud or quiet it is.
    on_progress : callable
        Takes the share that is done, 0..1, about once a second of audio; may raise to stop.

    Raises
    ------
    InvalidRequest
        If the files differ in their rates or channels (mono beside stereo may), or are none.
    MediaError
        If one cannot be decoded.
    DiskFull
        Nothing is left then of what was written.
    """
    if not normalise:
        return _write(voices, output, form, start, end, master, on_progress)
    peak = 0.0
    for block in _blocks(voices, start, end, master, lambda share: on_progress(share / 2)):
        peak = max(peak, _peak(block))
    if peak:
        master *= _NORMAL_PEAK / peak
    return _write(
        voices, output, form, start, end, master, lambda share: on_progress((1 + share) / 2)
    )


def _write(
    voices: Sequence[Voice],
    output: Path,
    form: OutputFormat,
    start: int,
    end: int,
    master: float,
    on_progress: Callable[[float], None],
) -> Mixed:
    peak, n_over = 0.0, 0
    writer: StemWriter | None = None
    with ExitStack() as on_error:
        for block in _blocks(voices, start, end, master, on_progress):
            if writer is None:
                with AudioReader(voices[0].path) as first:
                    rate, layout = first.format.sample_rate, first.format.layout
                n_channels = len(block)
                usable = layout if n_channels > 2 else ("mono", "stereo")[n_channels - 1]
                writer = StemWriter(
                    output, form, sample_rate=rate, n_channels=n_channels, layout=usable
                )
                on_error.callback(writer.discard)
            peak = max(peak, _peak(block))
            if form.bits is None:
                n_over += int(np.count_nonzero(np.abs(block) > 1))
            writer.write(block)
        if writer is None:
            raise InvalidRequest("There is nothing to mix.")
        writer.commit()
        on_error.pop_all()
    # A file of floats holds what is beyond full scale.
    n_clipped = writer.n_clipped if form.bits else 0 if form.codec == "pcm_f32le" else n_over
    return Mixed(peak, n_clipped)


def _blocks(
    voices: Sequence[Voice],
    start: int,
    end: int,
    master: float,
    on_progress: Callable[[float], None],
) -> Iterator[FloatArray]:
    """Yield the mix as (channels, n), a second at a time."""
    # What is silent need not be read; one file always is, since it says what the others are like.
    heard = [voice for voice in voices if voice.gain] or [replace(voices[0], gain=0.0)]
    with ExitStack() as files:
        readers = [files.enter_context(AudioReader(voice.path)) for voice in heard]
        rates = {reader.format.sample_rate for reader in readers}
        if len(rates) > 1:
            raise InvalidRequest("The files have different sample rates.")
        n_channels = max(reader.format.channels for reader in readers)
        if n_channels == 1 and any(voice.pan for voice in heard):
            n_channels = 2
        size = rates.pop()
        parts = [stretches(reader, start, end, size=size) for reader in readers]
        done = 0
        for blocks in zip(*parts, strict=True):
            mixed = np.zeros((n_channels, blocks[0].shape[1]), np.float32)
            for voice, block in zip(heard, blocks, strict=True):
                mixed += np.float32(voice.gain * master) * _placed(block, n_channels, voice.pan)
            done += mixed.shape[1]
            yield mixed
            on_progress(done / (end - start))


def _placed(block: FloatArray, n_channels: int, pan: float) -> FloatArray:
    """Move (channels, n) samples to a side, as a browser's panner does with two channels.

    Source: W3C, "Web Audio API", StereoPannerNode, the algorithm for stereo input.
    """
    if len(block) == 1 and n_channels == 2:
        block = np.repeat(block, 2, axis=0)
    if len(block) != n_channels:
        raise InvalidRequest("The files have different channels.")
    if not pan:
        return block
    left, right = block
    angle = (pan + 1 if pan < 0 else pan) * math.pi / 2
    along, across = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    if pan < 0:
        return np.stack([left + right * along, right * across])
    return np.stack([left * along, right + left * across])


def _peak(block: FloatArray) -> float:
    return float(np.abs(block).max(initial=0))
