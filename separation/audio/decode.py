"""Any recording as blocks of float32 samples, trimmed to the sample, in bounded memory."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from av.container import InputContainer

from separation.audio.container import (
    first_audio_stream,
    has_known_magic,
    open_recording,
    reraise_resource_error,
    undecodable,
)
from separation.audio.info import AudioFormat, layout_name
from separation.errors import EmptyFile, MediaError, UnsupportedMedia

FloatArray = npt.NDArray[np.float32]

_LOSSLESS = {"flac", "alac", "wavpack", "tta", "ape", "mlp", "truehd"}
_COMPANDED = {"pcm_alaw", "pcm_mulaw", "pcm_vidc"}

_HEADER_MAX_BYTES = 1 << 14

# So many frames are held back until it is known whether they belong to the recording: iTunes pads
# AAC by up to two.
_N_HELD = 4

# PyAV finds the end of a frame's planes by a null pointer; there is none behind the eighth, and
# what it reads then ends the process.
_N_POINTERS = 8

# A frame that claims 1 Hz would become as many seconds as it has samples, all at once.
_MAX_STRETCH = 32

_INTEGER_SCALE = {"s16": 2.0**-15, "s32": 2.0**-31, "s64": 2.0**-63}


class AudioReader:
    """The first audio stream of a file.

    Parameters
    ----------
    path : path
        Local file.
    guess : str, optional
        See `open_recording`.

    Raises
    ------
    MissingFile, EmptyFile, UnsupportedMedia, NoAudioStream, BrokenMedia
        If it holds nothing that can be decoded.
    """

    def __init__(self, path: str | Path, *, guess: str | None = None) -> None:
        self._path = Path(path)
        self._container = open_recording(self._path, guess)
        self.n_packets_decoded = 0
        self.n_packets_refused = 0
        try:
            self._stream = first_audio_stream(self._container)
            kind = (self._container.format.name, self._stream.name)
            self._is_ogg_vorbis = kind == ("ogg", "vorbis")
            if self._is_ogg_vorbis or kind == ("caf", "alac"):
                self._stream.codec_context.flags2 |= Flags2.skip_manual
            self._frames = self._decode()
            first = next(self._frames, None)
            if first is None:
                raise self._nothing_decoded()
        except BaseException:
            self._container.close()
            raise
        self._first = first
        self.format = _stream_format(first, self._stream, self._container)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._container.close()

    def check_health(self) -> None:
        """Complain, after the last block, if more packets were refused than decoded."""
        if self.n_packets_refused > self.n_packets_decoded:
            raise undecodable(self._path)

    def blocks(self) -> Iterator[FloatArray]:
        """Yield the whole stream once, as (channels, n) float32 of at most a few thousand samples.

        NaN and infinite samples become 0. Frames of another rate or layout, as in files that were
        glued together, are converted to those of the first frame.
        """
        adapter = _Adapter(self._first)
        held: deque[AudioFrame] = deque()
        n_before = 0
        for frame in itertools.chain([self._first], self._frames):
            if len(held) == _N_HELD:
                n_before += held[0].samples
                yield from adapter.adapted(held.popleft())
            held.append(frame)
        left = self._n_declared(list(held), n_before)
        for frame in held:
            for block in adapter.adapted(frame):
                yield block[:, : max(left, 0)] if left < frame.samples else block
            left -= frame.samples
        yield from adapter.rest()

    def _decode(self) -> Iterator[AudioFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                reraise_resource_error(error)
                self.n_packets_refused += 1
                packet = None
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.error.EOFError:
                continue
            except av.error.FFmpegError as error:
                reraise_resource_error(error)
                self.n_packets_refused += 1
                continue
            self.n_packets_decoded += bool(frames)
            if self._is_ogg_vorbis and self.n_packets_decoded == 1:
                continue  # it only primes the decoder; without `skip_manual` FFmpeg drops it
            yield from (f for f in frames if isinstance(f, AudioFrame) and f.samples)

    def _n_declared(self, held: list[AudioFrame], n_before: int) -> int:
        """Return how many samples of the last frames belong to the recording.

        All of them, unless the file says less. FFmpeg takes the padding at the end out of MP3 and
        Opus by itself. It leaves that of AAC in MP4, where only the last packet's duration or a
        tag of iTunes tells, and that of compressed WAV. It takes too much out of Ogg Vorbis, whose
        first packet it counts as sound although it only primes the decoder, and out of ALAC in
        CAF, whose decoder leaves out the padding already.
        """
        n_held = sum(frame.samples for frame in held)
        last = held[-1]
        is_mov = self._container.format.name.startswith("mov")
        declared = self._declared_length(last.sample_rate)
        if declared is not None and 0 < declared - n_before < n_held:
            return declared - n_before
        if is_mov and last.duration and last.time_base:
            length = last.duration * last.time_base * last.sample_rate
            if length.denominator == 1 and 0 < length < last.samples:
                return n_held - last.samples + int(length)
        return n_held

    def _declared_length(self, sample_rate: int) -> int | None:
        """Return the number of samples that the whole file claims, where that can be relied on."""
        container, codec = self._container.format.name, self._stream.name or ""
        if container.startswith("mov") and codec == "aac":
            return _itunes_length(self._container.metadata.get("iTunSMPB", ""))
        is_compressed_wav = container in {"wav", "w64"} and not codec.startswith("pcm_")
        is_told = self._is_ogg_vorbis or is_compressed_wav or (container, codec) == ("caf", "alac")
        if not (is_told and self._stream.duration and self._stream.time_base):
            return None
        length: Fraction = self._stream.duration * self._stream.time_base * sample_rate
        return int(length) if length.denominator == 1 else None

    def _nothing_decoded(self) -> MediaError:
        # FFmpeg skips noise in silence: a file that is more than a header held something once.
        is_small = self._path.stat().st_size < _HEADER_MAX_BYTES
        if has_known_magic(self._path) and is_small and not self.n_packets_refused:
            return EmptyFile("The recording holds no samples.")
        return undecodable(self._path)


class _Adapter:
    """Frames to blocks of one rate and channel count."""

    def __init__(self, first: AudioFrame) -> None:
        self._wanted = first.sample_rate, first.layout.nb_channels
        self._layout = first.layout
        self._current = _kind(first)
        self._resampler = self._needed(first)

    def adapted(self, frame: AudioFrame) -> Iterator[FloatArray]:
        if _kind(frame) != self._current:
            yield from self.rest()
            self._current = _kind(frame)
            if self._wanted[0] > _MAX_STRETCH * frame.sample_rate:
                raise UnsupportedMedia("The recording's sample rate changes too much on the way.")
            self._resampler = self._needed(frame)
        if self._resampler is None:
            yield samples_of(frame)
        else:
            frame.pts = None
            yield from (samples_of(f) for f in self._resampler.resample(frame))

    def rest(self) -> Iterator[FloatArray]:
        if self._resampler is not None:
            yield from (samples_of(f) for f in self._resampler.resample(None) if f.samples)
            self._resampler = None

    def _needed(self, frame: AudioFrame) -> AudioResampler | None:
        rate, n_channels, is_planar = _kind(frame)
        if (rate, n_channels) == self._wanted and not (is_planar and n_channels >= _N_POINTERS):
            return None
        return AudioResampler("flt", self._layout, self._wanted[0])


def samples_of(frame: AudioFrame) -> FloatArray:
    """Return a frame as (channels, samples) float32, full scale at -1..1, finite."""
    n_channels = frame.layout.nb_channels
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, n_channels).T  # (channels, samples)
    kind = frame.format.name.removesuffix("p")
    if kind == "u8":
        return (array.astype(np.float32) - 128) * np.float32(2.0**-7)
    if kind in _INTEGER_SCALE:
        return array.astype(np.float32) * np.float32(_INTEGER_SCALE[kind])
    with np.errstate(over="ignore"):
        samples = np.array(array, dtype=np.float32, order="C")
    return np.nan_to_num(samples, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _itunes_length(tag: str) -> int | None:
    """Return the samples that iTunes counted: the fourth of the tag's hexadecimal numbers."""
    try:
        return int(tag.split()[3], 16)
    except (IndexError, ValueError):
        return None


def _kind(frame: AudioFrame) -> tuple[int, int, bool]:
    return frame.sample_rate, frame.layout.nb_channels, frame.format.is_planar


def _stream_format(
    frame: AudioFrame, stream: AudioStream, container: InputContainer
) -> AudioFormat:
    codec = stream.codec_context.codec.canonical_name
    is_pcm = codec.startswith("pcm_") and codec not in _COMPANDED
    is_lossy = not is_pcm and codec not in _LOSSLESS
    is_float = not is_lossy and frame.format.name.startswith(("flt", "dbl"))
    return AudioFormat(
        sample_rate=frame.sample_rate,
        channels=frame.layout.nb_channels,
        layout=layout_name(frame.layout.name, frame.layout.nb_channels),
        codec=codec,
        container=container.format.name.split(",")[0],
        bits_per_sample=None if is_lossy or is_float else _bits(codec, frame),
        is_float=is_float,
        is_lossy=is_lossy,
    )


def _bits(codec: str, frame: AudioFrame) -> int:
    if frame.format.name.startswith(("u8", "s16")):
        return 16
    return 32 if codec.startswith(("pcm_s32", "pcm_u32", "pcm_s64")) else 24
