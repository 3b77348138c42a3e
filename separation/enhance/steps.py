"""What every step of an enhancement has in common, which steps there are, and what does each."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from separation import catalog
from separation.catalog import AvailabilityStatus, Tool
from separation.errors import InvalidRequest, StepUnavailable, UnknownStep

FloatArray = npt.NDArray[np.float32]


class Step(Protocol):
    """Takes (channels, n) float32 blocks, at the rate and of the channels that it was made for.

    What comes out of `push` and at last of `flush` is, all together, exactly as many samples as
    went in, each at its own place: what one step gives can go into the next.
    """

    def push(self, block: FloatArray) -> FloatArray:
        """Take one block of any length; return what is ready, which may be nothing."""
        ...

    def flush(self) -> FloatArray:
        """Return the rest; nothing may be pushed any more."""
        ...


@dataclass(frozen=True, slots=True)
class KnownStep:
    """A step that can be asked for; the tools of the catalogue with its name as task do it."""

    name: str
    title: str
    description: str

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What does it, in order of preference; may be nothing."""
        return tuple(tool for tool in catalog.tools() if tool.task == self.name)

    @property
    def is_available(self) -> bool:
        """Whether one of its tools can be used now, and what that one listens with."""
        return any(_is_installed(tool) for tool in self.tools)


# What hears for a tool whether it is speech or music.
_LISTENERS = {"deepfilternet3": "yamnet", "late-reverb": "yamnet"}


def _is_installed(tool: Tool) -> bool:
    needed = [tool]
    if tool.name in _LISTENERS:
        needed.append(catalog.tool(_LISTENERS[tool.name]))
    return all(catalog.availability(one).is_installed for one in needed)


STEPS = (
    KnownStep("denoise", "Denoise", "Noise goes, speech stays."),
    KnownStep("deecho", "De-echo", "Echoes go: what comes back a second time."),
    KnownStep("dereverb", "Dereverb", "The sound of the room goes."),
)
NAMES = tuple(step.name for step in STEPS)

# The class of each tool, imported when it is wanted. It takes the rate (Hz), the number of
# channels and, by name, the device.
_CLASSES = {
    "deepfilternet3": "separation.enhance.adaptive:AdaptiveDenoiser",
    "echo-prediction": "separation.enhance.deecho:Deechoer",
    "late-reverb": "separation.enhance.adaptive:AdaptiveDereverberator",
}


def check_steps(names: Sequence[str]) -> None:
    """Raise an error unless there are steps of all these names, each there once.

    Raises
    ------
    UnknownStep, InvalidRequest
    """
    if isinstance(names, str):
        raise InvalidRequest("Steps are a list of names.")
    for name in names:
        if name not in NAMES:
            known = ", ".join(NAMES)
            raise UnknownStep(f"There is no step named '{name}'; known steps are {known}.")
        if list(names).count(name) > 1:
            raise InvalidRequest(f"The step '{name}' is asked for twice.")


def tool_of(name: str) -> Tool:
    """Return the tool that does a step: the first that is installed, else the first allowed.

    Raises
    ------
    UnknownStep
        If there is no such step.
    StepUnavailable
        If no tool does it, or the policy forbids each that would.
    """
    check_steps([name])
    able = next(step for step in STEPS if step.name == name).tools
    if not able:
        raise StepUnavailable(f"No tool that does the step '{name}' is installed here.")
    states = [(tool, catalog.availability(tool)) for tool in able]
    installed = [tool for tool, state in states if state.is_installed]
    allowed = [t for t, state in states if state.status is not AvailabilityStatus.FORBIDDEN]
    if not allowed:
        raise StepUnavailable(f"The step '{name}' is not available. {states[0][1].reason}")
    return (installed or allowed)[0]


def open_step(name: str, sample_rate: int, channels: int, *, device: str = "cpu") -> Step:
    """Return what does a step to one recording.

    Parameters
    ----------
    name : str
    sample_rate : int, Hz
    channels : int
    device : str
        Torch device, for tools that use one.

    Raises
    ------
    SeparationError
        See `tool_of`; or if its weights are missing and cannot be had.
    """
    module, _, kind = _CLASSES[tool_of(name).name].partition(":")
    step: Step = getattr(importlib.import_module(module), kind)(
        sample_rate, channels, device=device
    )
    return step
