"""The one door to the `separation` library: its values in, its errors turned into ours."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path, PurePath

from django.conf import settings

import separation
from config import errors
from jobs.models import Asset, Job
from jobs.probing import probe_confined
from separation import AudioInfo, catalog
from separation import errors as engine_errors
from separation.audio import formats
from separation.audio.container import HEADERLESS
from separation.catalog import Tool
from separation.enhance.steps import check_steps, tool_of

# The task of the tools that find out who speaks when.
DIARIZATION = "diarization"
_DENOISING = "denoise"

_TRANSLATED: dict[type[engine_errors.SeparationError], type[errors.AppError]] = {
    engine_errors.EmptyFile: errors.EmptyFile,
    engine_errors.UnsupportedMedia: errors.UnsupportedMedia,
    engine_errors.BrokenMedia: errors.MediaError,
    engine_errors.NoAudioStream: errors.NoAudioStream,
    engine_errors.NoSpeech: errors.NoSpeech,
    engine_errors.TooLong: errors.TooLong,
    engine_errors.InvalidRequest: errors.ValidationFailed,
    engine_errors.UnknownStem: errors.UnknownStem,
    engine_errors.IncompatibleStems: errors.IncompatibleStems,
    engine_errors.UnknownModel: errors.UnknownModel,
    engine_errors.UnsupportedFormat: errors.UnsupportedFormat,
    engine_errors.ModelUnavailable: errors.ModelUnavailable,
    engine_errors.ModelForbidden: errors.ModelUnavailable,
    engine_errors.StemUnavailable: errors.ModelUnavailable,
    engine_errors.StepUnavailable: errors.ModelUnavailable,
    engine_errors.UnknownStep: errors.ValidationFailed,
}


@contextmanager
def translated_errors() -> Iterator[None]:
    try:
        yield
    except engine_errors.SeparationError as error:
        translated = _TRANSLATED.get(type(error))
        if translated is None:
            raise
        raise translated(errors.stored_text_later(translated.code, error.message)) from error


def code_and_text(error: engine_errors.SeparationError) -> tuple[str, str]:
    """The code of an error, as callers know it, and its sentence."""
    kind = _TRANSLATED.get(type(error))
    return (error.code if kind is None else kind.code), error.message


def recording_probe(
    path: Path, *, filename: str = "", on_tick: Callable[[], None] = lambda: None
) -> AudioInfo:
    """What a recording is, by decoding it. Its name may only tell formats without a header apart.

    `on_tick` is called about once a second and may raise to stop.
    """
    claimed = PurePath(filename or path).suffix.lower().removeprefix(".")
    guess = claimed if claimed in HEADERLESS else None
    try:
        with translated_errors():
            return probe_confined(path, guess=guess, on_tick=on_tick)
    except errors.TooLong as error:
        data = {"max_duration_s": settings.RECORDING_MAX_SECONDS}
        raise errors.TooLong(error.sentence, data=data) from error


def separation_plan(*, stems: Sequence[str] | None, model: str | None) -> separation.Plan:
    """Check all that could go wrong by the caller's choice, before anything is charged."""
    with translated_errors():
        return separation.plan(stems, model, require_installed=True)


def speakers_plan(*, model: str | None, is_denoised: bool) -> str:
    """As `separation_plan`, for the speakers; returns the name of the model that finds them."""
    if is_denoised:
        tool_plan(task=_DENOISING, model=None)
    return tool_plan(task=DIARIZATION, model=model)


def enhancement_plan(steps: Sequence[str]) -> str:
    """As `separation_plan`, for what cleans a recording; returns the names of what does it."""
    return "+".join(_step_tool(step) for step in steps)[:64]


def tool_plan(*, task: str, model: str | None) -> str:
    """The name of the tool that does this, once it is known that one may be used here and now."""
    with translated_errors():
        return _tool(task, model).name


def steps_check(steps: Sequence[str]) -> None:
    """Refuse steps of pre-processing that nobody knows, or that nothing here can do."""
    try:
        check_steps(steps)
    except engine_errors.PlanError as error:
        text = errors.stored_text_later(errors.ValidationFailed.code, error.message)
        raise errors.ValidationFailed(fields={"steps": [text]}) from error
    for step in steps:
        _step_tool(step)


def _step_tool(step: str) -> str:
    with translated_errors():
        tool = tool_of(step)
        if not catalog.availability(tool).is_installed:
            raise engine_errors.StepUnavailable(
                f"No tool that does the step '{step}' is installed here."
            )
    return tool.name


def format_fits(name: str, asset: Asset) -> bool:
    """Whether a format that exists can hold this recording."""
    try:
        format_check(name, asset)
    except errors.UnsupportedFormat:
        return False
    return True


def format_check(name: str, asset: Asset | None) -> None:
    """Refuse a format that does not exist or, of a known recording, that cannot hold it."""
    with translated_errors():
        if asset is None:
            formats.check_name(name)
        else:
            formats.resolve(name, asset_info(asset))


def _tool(task: str, name: str | None) -> Tool:
    """The tool of this name, or the first for the task, that may be used here and now."""
    chosen = catalog.tools() if name is None else (catalog.tool(name),)
    able = [tool for tool in chosen if tool.task == task]
    if not able and name is None:
        raise engine_errors.ModelUnavailable(f"Nothing that is installed here does '{task}'.")
    if not able:
        raise engine_errors.UnknownModel(f"The model '{name}' does something else.")
    reasons = []
    for tool in able:
        availability = catalog.availability(tool)
        if availability.is_installed:
            return tool
        reasons.append(f"The model '{tool.name}' is not available. {availability.reason}")
    raise engine_errors.ModelUnavailable(" ".join(reasons))


def asset_info(asset: Asset) -> AudioInfo:
    return AudioInfo(**{field.name: getattr(asset, field.name) for field in fields(AudioInfo)})


def output_info(job: Job, form_name: str) -> AudioInfo:
    """How a job writes what it makes: as the recording, in one of the formats ordered."""
    info = asset_info(job.recording)
    form = formats.resolve(form_name, info)
    return replace(
        info,
        n_samples=job.n_samples,
        codec=form.codec,
        container=form.container,
        bits_per_sample=form.bits,
        is_float=form.name == "wav32f",
        is_lossy=form.name == "mp3",
    )


def format_name(asset: Asset) -> str:
    """The name under which this kind of file is ordered, such as `wav32f`."""
    return formats.name_of(asset.codec, asset.bits_per_sample) or asset.codec
