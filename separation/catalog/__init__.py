"""Which stems exist and which models make them.

The entries are data (`stems.toml`, `sets.toml`, `models.toml`, `public_models.toml`, `tools.toml`),
and so is how good they are (`measured.json`); all else reads them from here.
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
    Source,
    SourceFile,
    Stem,
    StemSet,
    Tool,
)
from separation.catalog.measured import Measurement, StemQuality, quality_of
from separation.errors import InvalidRequest, SeparationError, UnknownModel, UnknownStem

__all__ = [
    "Availability",
    "AvailabilityStatus",
    "Licence",
    "Measurement",
    "Model",
    "Package",
    "Source",
    "SourceFile",
    "Stem",
    "StemQuality",
    "StemSet",
    "Tool",
    "availability",
    "model",
    "models",
    "package",
    "packages",
    "quality_of",
    "preferred_models",
    "sets",
    "stem",
    "stem_set",
    "stems",
    "tool",
    "tools",
]

AnyEntry = TypeVar("AnyEntry", Stem, StemSet, Model, Tool, Package)


def _read(name: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return tomllib.loads(text)


@functools.cache
def stems() -> tuple[Stem, ...]:
    """Return every stem, native and derived, in the order in which they are shown."""
    return tuple(Stem.from_toml(entry) for entry in _read("stems.toml")["stem"])


@functools.cache
def sets() -> tuple[StemSet, ...]:
    """Return every set of stems that has a name."""
    entries = _read("sets.toml")["set"]
    return tuple(StemSet(**{**entry, "stems": tuple(entry["stems"])}) for entry in entries)


@functools.cache
def models() -> tuple[Model, ...]:
    """Return every model in order of preference."""
    own = [Model.from_toml(entry) for entry in _read("models.toml")["model"]]
    public = _read("public_models.toml")["model"]
    return (*own, *(Model.from_toml({**entry, "is_optional": True}) for entry in public))


def preferred_models() -> frozenset[str]:
    """Return the names of the models that the operator prefers (STEMWRIGHT_PREFERRED_MODELS).

    Raises
    ------
    UnknownModel
        If there is none of one of these names.
    """
    listed = os.environ.get("STEMWRIGHT_PREFERRED_MODELS", "").split(",")
    return frozenset(model(name.strip()).name for name in listed if name.strip())


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


def stem_set(name: str) -> StemSet:
    """Return one set of stems.

    Raises
    ------
    UnknownStem
        If no set has this name.
    """
    return _named(name, sets(), kind="set of stems", error=UnknownStem)


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
        return Availability(AvailabilityStatus.INSTALLED, _where(model))
    if model.own_file is not None:
        reason = f"The file {model.own_file.name} is missing from this software."
        return Availability(AvailabilityStatus.MISSING, reason)
    reason = f"Not installed; `python -m separation models install {model.name}` fetches it."
    if model.is_gated:
        reason += " Its terms must be accepted on the hub first, and HF_TOKEN be set."
    return Availability(AvailabilityStatus.FETCHABLE, reason)


def _where(model: Package) -> str:
    if not model.has_weights:
        return "It has no weights."
    if model.own_file is not None:
        return "Its weights come with this software."
    return "Its weights are on this machine."
