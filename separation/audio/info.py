"""What is known of a recording before it is taken apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """What is accepted, counted in decoded samples, never in what a header claims.

    `max_samples` counts those of all channels together: three hours of eight channels are more
    work than three hours of two.
    """

    max_duration_s: float | None = None
    max_samples: int | None = None
    min_sample_rate: int = 8_000
    max_sample_rate: int = 192_000
    max_channels: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """What a recording's first frame says of it.

    `bits_per_sample` is the depth of an integer source (16 for 8 and 16 bits, 24 or 32), None
    for float and lossy sources; `layout` is FFmpeg's name for the speakers, as in `5.1`.
    """

    sample_rate: int
    channels: int
    layout: str
    codec: str
    container: str
    bits_per_sample: int | None
    is_float: bool
    is_lossy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo(AudioFormat):
    """A recording's format and its exact length in decoded samples."""

    n_samples: int

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.sample_rate


_LAYOUTS = ("mono", "stereo", "2.1", "quad", "5.0", "5.1", "6.1", "7.1")


def layout_name(name: str, n_channels: int) -> str:
    """Return a layout's name, or the usual one of that many channels where it has none."""
    is_unnamed = name.endswith("channels") and 1 <= n_channels <= len(_LAYOUTS)
    return _LAYOUTS[n_channels - 1] if is_unnamed else name
