"""Which stems exist and which models make them.

The entries are data (`stems.toml`, `models.toml`, `tools.toml`); all else reads them from here.
"""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Iterable
from importlib import resources
from typing import Any, TypeVar

from separation import weights
from separation.catalog.entries import (
    Availability,
    AvailabilityStatus,
    Licence,
    Model,
    Package,
    Quality,
    Source,
    SourceFile,
    Stem,
    Tool,
)
from separation.errors import InvalidRequest, SeparationError, UnknownModel, UnknownStem

__all__ = [
    "Availability",
    "AvailabilityStatus",
    "Licence",
    "Model",
    "Package",
    "Quality",
    "Source",
    "SourceFile",
    "Stem",
    "Tool",
    "availability",
    "model",
    "models",
    "package",
    "packages",
    "stem",
    "stems",
    "tool",
    "tools",
]

AnyEntry = TypeVar("AnyEntry", Stem, Model, Tool, Package)


def _read(name: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return tomllib.loads(text)


@functools.cache
def stems() -> tuple[Stem, ...]:
    """Return every stem, native and derived, in the order in which they are shown."""
    entries = _read("stems.toml")["stem"]
    return tuple(Stem(**{**entry, "minus": tuple(entry.get("minus", ()))}) for entry in entries)


@functools.cache
def models() -> tuple[Model, ...]:
    """Return every model in order of preference."""
    return tuple(Model.from_toml(entry) for entry in _read("models.toml")["model"])


@functools.cache
def tools() -> tuple[Tool, ...]:
    """Return every model that makes no stems, in order of preference."""
    return tuple(Tool.from_toml(entry) for entry in _read("tools.toml")["tool"])


def stem(name: str) -> Stem:
    """Return one stem.

    Raises
    ------
    UnknownStem
        If no stem has this name.
    """
    return _named(name, stems(), kind="stem", error=UnknownStem)


def packages() -> tuple[Package, ...]:
    """Return all that has weights: every model, then every tool."""
    return (*models(), *tools())


def model(name: str) -> Model:
    """Return one model.

    Raises
    ------
    UnknownModel
        If no model has this name.
    """
    return _named(name, models())


def tool(name: str) -> Tool:
    """Return one tool.

    Raises
    ------
    UnknownModel
        If no tool has this name.
    """
    return _named(name, tools())


def package(name: str) -> Package:
    """Return one model or tool.

    Raises
    ------
    UnknownModel
        If neither has this name.
    """
    return _named(name, packages())


def _named(
    name: str,
    candidates: Iterable[AnyEntry],
    *,
    kind: str = "model",
    error: type[SeparationError] = UnknownModel,
) -> AnyEntry:
    by_name = {candidate.name: candidate for candidate in candidates}
    if name not in by_name:
        known = ", ".join(by_name)
        raise error(f"There is no {kind} named '{name}'; known {kind}s are {known}.")
    return by_name[name]


def availability(model: Package) -> Availability:
    """Say whether a model can be used now; cheap: no network, no hashing.

    Raises
    ------
    InvalidRequest
        If STEMWRIGHT_WEIGHTS_POLICY holds anything but `any` or `commercial`.
    """
    policy = os.environ.get("STEMWRIGHT_WEIGHTS_POLICY", "any")
    if policy not in {"any", "commercial"}:
        raise InvalidRequest("STEMWRIGHT_WEIGHTS_POLICY must be 'any' or 'commercial'.")
    if policy == "commercial" and not model.licence.commercial_use:
        reason = f"The policy asks for commercial use. {model.licence.summary}"
        return Availability(AvailabilityStatus.FORBIDDEN, reason)
    if weights.is_installed(model):
        return Availability(AvailabilityStatus.INSTALLED, "Its weights are on this machine.")
    reason = f"Not installed; `python -m separation models install {model.name}` fetches it."
    if model.is_gated:
        reason += " Its terms must be accepted on the hub first, and HF_TOKEN be set."
    return Availability(AvailabilityStatus.FETCHABLE, reason)
