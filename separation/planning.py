"""From the stems asked for to the model pass that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from separation import catalog
from separation.catalog import AvailabilityStatus, Model, Stem
from separation.errors import (
    IncompatibleStems,
    InvalidRequest,
    ModelForbidden,
    ModelUnavailable,
    StemUnavailable,
)
from separation.residual import Residual


@dataclass(frozen=True, slots=True)
class Plan:
    """One model pass and what becomes of its output.

    `stems` is what was asked for, in that order. `native` are the model's own stems that are
    needed, in the model's order; `derived` are made from the recording and those. `residual`
    says who takes what the native stems leave of the recording.
    """

    model: Model
    stems: tuple[str, ...]
    native: tuple[str, ...]
    derived: tuple[Stem, ...]
    residual: Residual = Residual.KEEP

    def with_residual(self, residual: Residual) -> Plan:
        """Return the plan with this setting; all but KEEP take all stems of the model."""
        native = self.native if residual is Residual.KEEP else self.model.stems
        return replace(self, native=native, residual=residual)

    @property
    def rest(self) -> int | None:
        """Which of `native` takes what the others leave; None if nobody does."""
        if self.residual is Residual.KEEP:
            return None
        return self.native.index(self.model.rest)


def plan(
    stems: Sequence[str] | None = None,
    model: str | None = None,
    *,
    require_installed: bool = False,
) -> Plan:
    """Choose a model and the passes that make the stems asked for.

    Parameters
    ----------
    stems : sequence of str, optional
        Names from `catalog.stems()`; without them, all native stems of the model.
    model : str, optional
        Name from `catalog.models()`; without it, the first by preference that covers the stems,
        those already installed first.
    require_installed : bool
        Refuse a model whose weights would have to be fetched first.

    Raises
    ------
    InvalidRequest
        If the list is empty or names a stem twice.
    UnknownStem
        If a stem does not exist.
    StemUnavailable
        If no model at all makes one of them.
    IncompatibleStems
        If no single model, or not the chosen one, makes all of them.
    UnknownModel
        If there is no such model.
    ModelUnavailable
        If every model that would do is forbidden by the policy or not installed.
    """
    wanted = None if stems is None else _checked(stems)
    candidates = catalog.models() if model is None else (catalog.model(model),)
    _check_makers(wanted or ())
    covering = [candidate for candidate in candidates if _covers(candidate, wanted)]
    if not covering:
        raise IncompatibleStems(_not_covered(wanted or (), model))
    chosen = _first_available(covering, require_installed=require_installed)
    return _plan_for(chosen, wanted)


def _checked(stems: Sequence[str]) -> tuple[Stem, ...]:
    if isinstance(stems, str) or not stems:
        raise InvalidRequest("Ask for at least one stem, as a list of names.")
    for name in stems:
        if list(stems).count(name) > 1:
            raise InvalidRequest(f"The stem '{name}' is asked for twice.")
    return tuple(catalog.stem(name) for name in stems)


def _check_makers(wanted: Sequence[Stem]) -> None:
    missing = [s.name for s in wanted if not any(m.makes(s) for m in catalog.models())]
    if missing:
        names = " and ".join(f"'{name}'" for name in missing)
        stems = "stem" if len(missing) == 1 else "stems"
        raise StemUnavailable(f"No model that makes the {stems} {names} is installed here.")


def _covers(model: Model, wanted: tuple[Stem, ...] | None) -> bool:
    return all(model.makes(stem) for stem in wanted or ())


def _not_covered(wanted: tuple[Stem, ...], model: str | None) -> str:
    if model is None:
        names = ", ".join(stem.name for stem in wanted)
        return f"No single model makes all of these stems: {names}."
    chosen = catalog.model(model)
    missing = next(stem.name for stem in wanted if not chosen.makes(stem))
    offered = ", ".join(stem.name for stem in catalog.stems() if chosen.makes(stem))
    return f"The model '{model}' does not make the stem '{missing}'; it makes {offered}."


def _first_available(covering: Sequence[Model], *, require_installed: bool) -> Model:
    found = [(candidate, catalog.availability(candidate)) for candidate in covering]
    for candidate, state in found:
        if state.is_installed:
            return candidate
    fetchable = [(c, s) for c, s in found if s.status is AvailabilityStatus.FETCHABLE]
    if fetchable and not require_installed:
        return fetchable[0][0]
    if fetchable:
        raise ModelUnavailable(_unavailable(*fetchable[0]))
    raise ModelForbidden(_unavailable(*found[0]))


def _unavailable(model: Model, state: catalog.Availability) -> str:
    return f"The model '{model.name}' is not available. {state.reason}"


def _plan_for(model: Model, wanted: tuple[Stem, ...] | None) -> Plan:
    if wanted is None:
        return Plan(model, model.stems, model.stems, ())
    needed = {name for stem in wanted for name in stem.natives}
    return Plan(
        model=model,
        stems=tuple(stem.name for stem in wanted),
        native=tuple(name for name in model.stems if name in needed),
        derived=tuple(stem for stem in wanted if stem.is_derived),
    )
