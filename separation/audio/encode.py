"""Stems into files, complete or not at all."""

from __future__ import annotations

import errno
import uuid
from pathlib import Path

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from separation.audio.formats import OutputFormat
from separation.audio.info import layout_name
from separation.audio.mp3_tag import declare_length
from separation.audio.tags import Tags, TagWriter
from separation.errors import DiskFull

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

_FLOAT_MAX = float(np.finfo(np.float32).max)
# Windows reads no ID3v2.4, which FFmpeg would write.
_MUXER_OPTIONS = {"wav": {"rf64": "auto"}, "mp3": {"id3v2_version": "3"}}

_PACKED = {"s16": np.int16, "s32": np.int32, "flt": np.float32}

AAC_BIT_RATE = 256_000
# The usual search of FFmpeg's AAC spoils the first packet of what begins with sound: an error as
# loud as the sound itself. The quick one does not, and at this rate misses nothing either.
CODEC_OPTIONS = {"aac": {"aac_coder": "fast"}}

_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def quantize(samples: npt.NDArray[np.floating] | IntArray, bits: int) -> tuple[IntArray, int]:
    """Round floats of -1..1 to integers of `bits`; limit these and count those beyond."""
    full = 2 ** (bits - 1)
    steps = samples if samples.dtype == np.int32 else np.rint(samples * float(full))
    if steps.min(initial=0) >= -full and steps.max(initial=0) <= full - 1:
        return steps.astype(np.int32, copy=False), 0
    n_clipped = int(np.count_nonzero((steps < -full) | (steps > full - 1)))
    return np.clip(steps, -full, full - 1).astype(np.int32), n_clipped


def packed(
    samples: npt.NDArray[np.floating] | IntArray, form: OutputFormat
) -> npt.NDArray[np.float32] | npt.NDArray[np.int32] | npt.NDArray[np.int16]:
    """Return samples in the order and the type in which FFmpeg takes them.

    Parameters
    ----------
    samples : array (channels, n)
        Floats of -1..1 where the format holds floats; else integers of its bits, see `quantize`.
    form : OutputFormat

    Returns
    -------
    array (channels, n) of planar formats, (1, n * channels) of all others
    """
    if form.sample_format == "fltp":
        return np.ascontiguousarray(samples, np.float32)  # (channels, n)
    ordered = np.empty((samples.shape[1], samples.shape[0]), _PACKED[form.sample_format])
    # A channel at a time: turning the whole array around takes five times as long.
    for channel, values in enumerate(samples):
        ordered[:, channel] = values
    if form.sample_format == "s32":
        ordered <<= 8  # 24 bits, as FFmpeg holds them
    return ordered.reshape(1, -1)  # (1, n * channels)


class StemWriter:
    """One stem on its way into a file; the final name appears only with `commit`.

    Parameters
    ----------
    path : path
        Final name, in an existing folder.
    form : OutputFormat
    sample_rate : int, Hz
    n_channels : int
    layout : str
        FFmpeg's name for the speakers; used where the format knows it.
    tags : Tags, optional
        Go into the file as far as the format allows.

    Attributes
    ----------
    n_clipped : int
        Samples that were beyond the format's full scale.
    draft : path
        The file until it has its final name.
    """

    def __init__(
        self,
        path: Path,
        form: OutputFormat,
        *,
        sample_rate: int,
        n_channels: int,
        layout: str,
        tags: Tags | None = None,
    ) -> None:
        self.path = path
        self.n_clipped = 0
        self._form = form
        self._rate = sample_rate
        self._layout = usable_layout(layout, n_channels, form)
        self.draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        self._n_written = 0
        self._is_committed = False
        options = _MUXER_OPTIONS.get(form.container, {})
        self._container = av.open(
            f"file:{self.draft}", "w", format=form.container, container_options=options
        )
        self._stream = self._add_stream()
        self._tags = TagWriter(self._container, tags or Tags())

    def _add_stream(self) -> AudioStream:
        options = CODEC_OPTIONS.get(self._form.codec)
        stream = self._container.add_stream(self._form.codec, rate=self._rate, options=options)
        if not isinstance(stream, AudioStream):
            raise TypeError("The codec is not an audio codec.")
        stream.codec_context.layout = self._layout
        stream.codec_context.format = self._form.sample_format
        if self._form.codec == "libmp3lame":
            stream.codec_context.bit_rate = _mp3_bit_rate(self._rate)
        if self._form.codec == "aac":
            stream.codec_context.bit_rate = AAC_BIT_RATE
        return stream

    def write(self, samples: npt.NDArray[np.floating] | IntArray) -> None:
        """Write (channels, n) samples: floats, or the integers of an integer format.

        What is beyond the format's full scale is clipped and counted.
        """
        if not samples.shape[1]:
            return
        if self._form.bits is None:
            self._encode(np.clip(samples, -_FLOAT_MAX, _FLOAT_MAX).astype(np.float32))
            return
        integers, n_clipped = quantize(samples, self._form.bits)
        self.n_clipped += n_clipped
        self._encode(integers)

    def commit(self) -> None:
        """Finish the file and give it its final name."""
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            if self._form.container == "mp3":
                declare_length(self.draft, self._n_written)
            self.draft.replace(self.path)
        except (OSError, av.error.FFmpegError) as error:
            raise_if_disk_full(error)
            raise
        self._is_committed = True

    def discard(self) -> None:
        """Remove whatever was written, under either name."""
        try:
            self._container.close()
        except (OSError, av.error.FFmpegError):
            pass  # the file is removed all the same
        self.draft.unlink(missing_ok=True)
        if self._is_committed:
            self.path.unlink(missing_ok=True)

    def _encode(self, samples: npt.NDArray[np.floating] | IntArray) -> None:
        frame = AudioFrame.from_ndarray(
            packed(samples, self._form), format=self._form.sample_format, layout=self._layout
        )
        frame.sample_rate = self._rate
        frame.pts = self._n_written
        self._n_written += samples.shape[1]
        try:
            self._tags.start()
            self._container.mux(self._stream.encode(frame))
        except (OSError, av.error.FFmpegError) as error:
            raise_if_disk_full(error)
            raise


def raise_if_disk_full(error: OSError | av.error.FFmpegError) -> None:
    """Turn an error about space into DiskFull; let any other one be."""
    if error.errno in _FULL_DISK:
        raise DiskFull("There is no space left on the disk that the stems go to.") from error


def _mp3_bit_rate(sample_rate: int) -> int:
    """320 kbit/s, or the most that MPEG-2 (160) and MPEG-2.5 (64) allow at low rates."""
    if sample_rate >= 32000:
        return 320_000
    return 160_000 if sample_rate >= 16000 else 64_000


def usable_layout(layout: str, n_channels: int, form: OutputFormat) -> str:
    """Return FFmpeg's name for the speakers, or the nearest that the format can write down."""
    if form.container == "flac":
        return layout_name("channels", n_channels)  # FLAC knows one layout for each count
    return layout_name(layout, n_channels)
