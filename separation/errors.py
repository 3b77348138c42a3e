"""Every way in which a separation can end badly, each with a stable code."""

from __future__ import annotations

from typing import ClassVar


class SeparationError(Exception):
    """A separation ended for a reason that the caller can name.

    Attributes
    ----------
    code : str
        Stable, machine-readable name of the reason.
    retryable : bool
        Whether the same call may succeed later without any change to its input.
    """

    code: ClassVar[str] = "separation_failed"
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """One sentence for a person, without paths of this machine's internals."""
        return str(self)


class MediaError(SeparationError):
    """Something is wrong with the recording itself."""

    code = "unsupported_media"


class UnsupportedMedia(MediaError):
    """Not audio, or audio of a kind, rate or channel count that is not read here."""

    code = "unsupported_media"


class BrokenMedia(MediaError):
    """The container is known but most of what it holds cannot be decoded."""

    code = "broken_media"


class MissingFile(MediaError):
    """There is no such file."""

    code = "missing_file"


class EmptyFile(MediaError):
    """The file holds no bytes, or a recording of no samples."""

    code = "empty_file"


class NoAudioStream(MediaError):
    """A video or an image sequence without sound."""

    code = "no_audio_stream"


class NoSpeech(MediaError):
    """Nobody speaks in the recording."""

    code = "no_speech"


class TooLong(MediaError):
    """More audio than the limit allows, counted in decoded samples."""

    code = "too_long"


class PlanError(SeparationError):
    """The request cannot be planned."""

    code = "invalid_request"


class InvalidRequest(PlanError):
    """No stem asked for, one asked for twice, or an option out of its range."""

    code = "invalid_request"


class UnknownStem(PlanError):
    """No stem of that name, or the chosen model does not make it."""

    code = "unknown_stem"


class UnknownStep(PlanError):
    """No step of an enhancement has that name."""

    code = "unknown_step"


class IncompatibleStems(PlanError):
    """The stems exist, but the model, or any single one, does not make all of them."""

    code = "incompatible_stems"


class UnknownModel(PlanError):
    """No model of that name."""

    code = "unknown_model"


class UnsupportedFormat(PlanError):
    """The output format is unknown or cannot hold this recording."""

    code = "unsupported_format"


class ModelUnavailable(SeparationError):
    """The weights are missing and cannot be fetched, or the policy forbids them."""

    code = "model_unavailable"
    retryable = True


class ModelForbidden(ModelUnavailable):
    """The weights' licence forbids what STEMWRIGHT_WEIGHTS_POLICY asks for."""

    retryable = False


class StemUnavailable(ModelUnavailable):
    """The stem exists, but no model here makes it."""

    retryable = False


class StepUnavailable(ModelUnavailable):
    """The step exists, but no tool here does it."""

    retryable = False


class WeightsMismatch(SeparationError):
    """A file of weights does not have the pinned SHA-256."""

    code = "weights_mismatch"


class OutOfMemory(SeparationError):
    """The machine or the device ran out of memory."""

    code = "out_of_memory"
    retryable = True


class EngineClosed(SeparationError):
    """The engine, or the recording's way to it, was closed before the work was done."""

    code = "engine_closed"
    retryable = True


class EncoderLost(SeparationError):
    """A process that encodes stems ended by itself."""

    code = "encoder_lost"
    retryable = True


class DiskFull(SeparationError):
    """No space is left where the stems or the weights are written."""

    code = "disk_full"
    retryable = True


class SeparationCancelled(SeparationError):
    """Raised from ``on_progress`` to stop a separation; everything written is removed."""

    code = "cancelled"


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error, whoever raised it, is want of memory."""
    if isinstance(error, (MemoryError, OutOfMemory)):
        return True
    # torch.OutOfMemoryError on a device; a plain RuntimeError from the CPU's allocator, and from
    # Python where there is no room for the stack of a thread.
    is_named = type(error).__name__ == "OutOfMemoryError" or any(
        words in str(error) for words in ("allocate memory", "can't start new thread")
    )
    return isinstance(error, RuntimeError) and is_named
