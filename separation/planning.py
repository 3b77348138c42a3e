"""From the stems asked for to the fewest model passes that make them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from separation import catalog
from separation.catalog import Availability, AvailabilityStatus, Model, Stem
from separation.errors import (
    IncompatibleStems,
    InvalidRequest,
    ModelForbidden,
    ModelUnavailable,
    StemUnavailable,
)
from separation.plans import Pass, Plan

__all__ = ["Plan", "can_be_made", "makers", "plan", "possible"]

# Best first.
_STATUSES = (
    AvailabilityStatus.INSTALLED,
    AvailabilityStatus.FETCHABLE,
    AvailabilityStatus.MISSING,
    AvailabilityStatus.FORBIDDEN,
)


def plan(
    stems: Sequence[str] | None = None,
    model: str | None = None,
    *,
    require_installed: bool = False,
) -> Plan:
    """Choose the models and the passes that make the stems asked for.

    One root model takes the recording apart, child models the stems of passes before them. Of all
    ways there are, those whose models are installed come first, then those with models that the
    operator prefers (STEMWRIGHT_PREFERRED_MODELS), then those without optional ones, then those of
    the fewest passes, then those whose models come first in the catalogue.

    Parameters
    ----------
    stems : sequence of str, optional
        Names from `catalog.stems()`; without them, all native stems of the root model.
    model : str, optional
        The root model, a name from `catalog.models()`; any without it.
    require_installed : bool
        Refuse models whose weights would have to be fetched first.

    Raises
    ------
    InvalidRequest
        If the list is empty or names a stem twice, or the model does not take recordings.
    UnknownStem
        If a stem does not exist.
    StemUnavailable
        If no model at all makes one of them.
    IncompatibleStems
        If no root model, or not the chosen one, leads to all of them.
    UnknownModel
        If there is no such model.
    ModelUnavailable
        If every model that would do is forbidden by the policy or not installed.
    """
    wanted = None if stems is None else _checked(stems)
    shelf = _Shelf.now(model)
    roots = shelf.roots if model is None else (_root(model),)
    names = [stem.name for stem in wanted or ()]
    _check_makers(names, shelf)
    ways = [way for root in roots if (way := shelf.way(root, names)) is not None]
    if not ways:
        raise IncompatibleStems(_not_covered(names, model, shelf))
    chosen = min(ways, key=shelf.rank)  # the first of equals
    shelf.check(chosen, require_installed=require_installed)
    return _plan_for(chosen, names)


def can_be_made() -> frozenset[str]:
    """Return the names of all stems that can be made by what is installed here, each alone."""
    shelf = _Shelf.now().installed()
    return frozenset(name for root in shelf.roots for name in shelf.stems_of(root))


def makers(stem: Stem) -> tuple[str, ...]:
    """Return the names of the models that make a stem, in order of preference.

    Each makes it alone of what it takes; where none does, they are all those of the best way.
    """
    alone = tuple(model.name for model in catalog.models() if model.makes(stem))
    if alone:
        return alone
    shelf = _Shelf.now()
    ways = [way for root in shelf.roots if (way := shelf.way(root, [stem.name])) is not None]
    return tuple(model.name for model in min(ways, key=shelf.rank, default=()))


def possible(stems: Sequence[str]) -> tuple[str, ...]:
    """Return a set of stems as far as one order can make it by what is installed here.

    Where a stem cannot be made, its parent takes its place, and with it that of all others that
    were cut from that parent: a set that adds up to the recording still does. What has no parent
    is left out.

    Raises
    ------
    UnknownStem
        If a stem does not exist.
    """
    shelf = _Shelf.now().installed()
    wanted = tuple(stem.name for stem in _checked(stems))
    found = (shelf.as_far_as(wanted, shelf.stems_of(root)) for root in shelf.roots)
    return max(found, key=len, default=())


def _checked(stems: Sequence[str]) -> tuple[Stem, ...]:
    if isinstance(stems, str) or not stems:
        raise InvalidRequest("Ask for at least one stem, as a list of names.")
    for name in stems:
        if list(stems).count(name) > 1:
            raise InvalidRequest(f"The stem '{name}' is asked for twice.")
    return tuple(catalog.stem(name) for name in stems)


def _root(name: str) -> Model:
    model = catalog.model(name)
    if model.input:
        raise InvalidRequest(
            f"The model '{name}' takes the stem '{model.input}' apart, not a recording; "
            "ask for its stems without naming it."
        )
    return model


# A root model and the children that follow it.
Way = tuple[Model, ...]


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The models that there are, with their states, as long as one question takes."""

    models: tuple[Model, ...]
    stems: Mapping[str, Stem]
    states: Mapping[str, Availability]

    @classmethod
    def now(cls, named: str | None = None) -> _Shelf:
        states = {model.name: catalog.availability(model) for model in catalog.models()}
        # Nothing optional is fetched unless somebody names it.
        models = tuple(
            model
            for model in catalog.models()
            if states[model.name].is_installed or not model.is_optional or model.name == named
        )
        return cls(models, {stem.name: stem for stem in catalog.stems()}, states)

    def installed(self) -> _Shelf:
        """Return what is left of it if only what is installed counts."""
        models = tuple(model for model in self.models if self.states[model.name].is_installed)
        return _Shelf(models, self.stems, self.states)

    @property
    def roots(self) -> tuple[Model, ...]:
        return tuple(model for model in self.models if not model.input)

    def rank(self, way: Way) -> tuple[int, int, int, int]:
        """Return what is less for better ways."""
        preferred = catalog.preferred_models()
        n_preferred = sum(model.name in preferred for model in way)
        n_optional = sum(model.is_optional and model.name not in preferred for model in way)
        return max(self._state(model) for model in way), -n_preferred, n_optional, len(way)

    def check(self, way: Way, *, require_installed: bool) -> None:
        """Raise ModelUnavailable if a model of it cannot be used."""
        worst = max(way, key=self._state)
        state = self.states[worst.name]
        message = f"The model '{worst.name}' is not available. {state.reason}"
        if state.status is AvailabilityStatus.FORBIDDEN:
            raise ModelForbidden(message)
        is_here = state.is_installed or (
            state.status is AvailabilityStatus.FETCHABLE and not require_installed
        )
        if not is_here:
            raise ModelUnavailable(message)

    def way(self, root: Model, names: Sequence[str]) -> Way | None:
        """Return the best way from a root model to all of these stems; None if there is none."""
        ways = self._ways((root,), names)
        return min(ways, key=self._rank_of_children, default=None)

    def _rank_of_children(self, way: Way) -> tuple[int, int, int, int, list[int]]:
        return *self.rank(way), [self.models.index(model) for model in way[1:]]

    def _state(self, model: Model) -> int:
        return _STATUSES.index(self.states[model.name].status)

    def _ways(self, way: Way, names: Sequence[str], above: tuple[str, ...] = ()) -> Iterator[Way]:
        """Yield ways on to all of these stems; those `above` need them, and would end a circle."""
        if not names:
            yield way
            return
        first, *others = names
        for longer in self._ways_to(way, first, above):
            yield from self._ways(longer, others, above)

    def _ways_to(self, way: Way, name: str, above: tuple[str, ...]) -> Iterator[Way]:
        if not name or any(name in model.stems for model in way):
            yield way
            return
        if name in above:
            return
        stem = self.stems.get(name)
        if stem is not None and stem.is_derived:
            yield from self._ways(way, stem.terms, (*above, name))
        for model in self.models:
            if name in model.stems and self._follows(model, way):
                # What a model takes apart must be there without it.
                for before in self._ways(way, [model.input], (*above, name)):
                    yield before if model in before else (*before, model)

    def _follows(self, model: Model, way: Way) -> bool:
        """Whether a model takes apart what the root leaves whole, at the root's rate."""
        root = way[0]
        is_whole = not any(model.input in self.above(name) for name in root.stems)
        return bool(model.input) and is_whole and model.sample_rate == root.sample_rate

    def stems_of(self, root: Model) -> frozenset[str]:
        """Return the names of all stems that a root model leads to, each alone."""
        return frozenset(name for name in self.stems if self.way(root, [name]) is not None)

    def as_far_as(self, names: tuple[str, ...], able: Collection[str]) -> tuple[str, ...]:
        """Return the stems, with parents in the place of what is not among those able."""
        found = list(names)
        while missing := [name for name in found if name not in able]:
            parent = self.stems[missing[0]].parent
            gone = {missing[0], *(name for name in found if parent in self.above(name)), parent}
            place = min(found.index(name) for name in gone if name in found)
            found = [name for name in found if name not in gone]
            if parent:
                found.insert(place, parent)
        return tuple(found)

    def above(self, name: str) -> Iterator[str]:
        """Yield the stems that a stem is a part of."""
        while name := self.stems[name].parent:
            yield name


def _check_makers(names: Sequence[str], shelf: _Shelf) -> None:
    missing = [
        name for name in names if all(shelf.way(root, [name]) is None for root in shelf.roots)
    ]
    if missing:
        listed = " and ".join(f"'{name}'" for name in missing)
        stems = "stem" if len(missing) == 1 else "stems"
        raise StemUnavailable(f"No model that makes the {stems} {listed} is installed here.")


def _not_covered(names: Sequence[str], model: str | None, shelf: _Shelf) -> str:
    if model is None:
        return f"No single model makes all of these stems: {', '.join(names)}."
    chosen = catalog.model(model)
    missing = next(name for name in names if shelf.way(chosen, [name]) is None)
    offered = ", ".join(stem.name for stem in catalog.stems() if chosen.makes(stem))
    return f"The model '{model}' does not make the stem '{missing}'; it makes {offered}."


def _plan_for(way: Way, names: Sequence[str]) -> Plan:
    stems = tuple(names) or way[0].stems
    made = {name for model in way for name in model.stems}
    inputs = [model.input for model in way[1:]]
    derived: dict[str, Stem] = {}
    needed: set[str] = set()
    for name in (*inputs, *stems):
        _expand(name, made, needed, derived)
    passes = (Pass(model, tuple(n for n in model.stems if n in needed)) for model in way)
    return Plan(passes=tuple(passes), stems=stems, derived=tuple(derived.values()))


def _expand(name: str, made: set[str], needed: set[str], derived: dict[str, Stem]) -> None:
    """Add a stem to those needed, or else what it is derived of and then itself to the derived."""
    if name in made:
        needed.add(name)
    elif name and name not in derived:
        stem = catalog.stem(name)
        for term in stem.terms:
            _expand(term, made, needed, derived)
        derived[name] = stem
