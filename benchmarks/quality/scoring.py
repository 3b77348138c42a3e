"""From songs to figures: one a stem, a model, a set and a start of the chain."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.quality import runs
from benchmarks.quality.bars import Bars, bars
from benchmarks.quality.measures import WrongShares
from benchmarks.quality.pieces import Case, belonging, true_stem
from benchmarks.quality.sets import RATE, SongSet
from benchmarks.songs import FloatArray, mean, sdr_of
from separation import catalog
from separation.catalog.measured import Measurement, Start
from separation.errors import SeparationError
from separation.quality import si_sdr_db

PEER_NAME = "demucs (its command line)"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A stem that a model made of a song, and what it was made of."""

    stem: str
    model: str
    start: Start
    samples: FloatArray  # (2, n)
    parent: FloatArray  # (2, n)
    mixture: FloatArray  # (2, n)
    seconds: float  # of work a second of audio


@dataclass(frozen=True, slots=True)
class Score:
    """One estimate against its true stem."""

    sdr_db: float
    si_sdr_db: float
    wrong_share: float
    bars: Bars
    seconds: float


@dataclass(slots=True)
class Tally:
    """The scores of a set's songs, by stem, model and start; `peers` are SDR by stem and way."""

    scores: dict[tuple[str, str, Start], list[Score]] = field(default_factory=dict)
    peers: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def measurements(self, of: SongSet, *, date: str, commit: str) -> Iterator[Measurement]:
        """Yield what the scores come to."""
        for (stem, model, start), scores in self.scores.items():
            peer, peer_db = self._best_peer(stem, model) if start == "recording" else (None, None)
            yield Measurement(
                stem=stem,
                model=model,
                set=of.described,
                start=start,
                n=len(scores),
                sdr_db=_mean(one.sdr_db for one in scores),
                si_sdr_db=_mean(one.si_sdr_db for one in scores),
                wrong_share=round(mean(one.wrong_share for one in scores), 3),
                parent_db=_mean(one.bars.parent_db for one in scores),
                static_eq_db=_mean(one.bars.static_eq_db for one in scores),
                oracle_mask_db=_mean(one.bars.oracle_mask_db for one in scores),
                seconds=round(mean(one.seconds for one in scores), 3),
                peer=peer,
                peer_db=peer_db,
                date=date,
                commit=commit,
            )

    def _best_peer(self, stem: str, model: str) -> tuple[str | None, float | None]:
        ways = self.peers.get(stem, {}).items()
        found = {name: _mean(values) for name, values in ways if name != model}
        if not found:
            return None, None
        best = max(found, key=found.__getitem__)
        return best, found[best]


def score_case(tally: Tally, case: Case, wanted: Collection[str], *, with_peer: bool) -> None:
    """Take a song apart in all ways that there are, and add how it came out.

    Parameters
    ----------
    tally : Tally
    case : Case
    wanted : collection of str
        The stems that count; all when empty.
    with_peer : bool
        Whether the package `demucs` takes it apart too.
    """
    # A stem that is all there is needs no separation: the guitar of a song of guitars, or the
    # instrumental of one without a voice.
    everything = frozenset(case.pieces)
    true = {
        stem.name: samples
        for stem in catalog.stems()
        if (not wanted or stem.name in wanted)
        and belonging(list(case.pieces), stem.name) != everything
        and (samples := true_stem(case, stem.name)) is not None
    }
    found = list(_from_parents(case, true))
    if not case.whole:
        chains = {root.name: _chain(case, root, true) for root in runs.roots()}
        found += [one for listed in chains.values() for one in listed]
        ways: dict[str, Mapping[str, FloatArray]] = {
            name: {one.stem: one.samples for one in listed} for name, listed in chains.items()
        }
        if with_peer:
            ways[PEER_NAME] = runs.by_peer(case.mixture).stems
        _add_peers(tally, ways, true)
    _add_scores(tally, case, true, [one for one in found if one.stem in true])


def _from_parents(case: Case, true: Mapping[str, FloatArray]) -> Iterator[Estimate]:
    for model in runs.children():
        parent = true_stem(case, model.input)
        makes = [stem for stem in true if model.makes(catalog.stem(stem))]
        if parent is None or not makes:
            continue
        taken = runs.from_parent(parent, model)
        rate = taken.seconds * RATE / case.n_samples
        for stem in makes:
            samples = taken.stems[stem]
            yield Estimate(stem, model.name, "parent", samples, parent, parent, rate)


def _chain(case: Case, root: catalog.Model, true: Mapping[str, FloatArray]) -> list[Estimate]:
    """Return all stems that begin with a root model, also those that nothing is known of."""
    models = {stem.name: root.name for stem in catalog.stems() if root.makes(stem)}
    for stem in true:
        if stem not in models and (chain := _chain_of(stem))[:1] == [root.name]:
            models[stem] = chain[-1]
    parents = {catalog.stem(stem).parent for stem in models} - {""}
    asked = list(dict.fromkeys([*models, *parents]))
    mixture = case.mixture
    taken = runs.through_chain(mixture, root, asked)
    rate = taken.seconds * RATE / case.n_samples
    known = {"": mixture, **taken.stems}
    return [
        Estimate(
            stem=stem,
            model=model,
            start="recording",
            samples=taken.stems[stem],
            parent=known[catalog.stem(stem).parent],
            mixture=mixture,
            seconds=rate,
        )
        for stem, model in models.items()
    ]


def _chain_of(stem: str) -> list[str]:
    try:
        return runs.chain_of(stem)
    except SeparationError:
        return []  # nothing makes it here


def _add_peers(
    tally: Tally, ways: Mapping[str, Mapping[str, FloatArray]], true: Mapping[str, FloatArray]
) -> None:
    """Add what each way has for each true stem: that stem, or the smallest one around it."""
    for stem, samples in true.items():
        for name, stems in ways.items():
            around = _around(stem, stems)
            if around is None:
                continue
            way = name if around == stem else f"{name}: {around}"
            listed = tally.peers.setdefault(stem, {}).setdefault(way, [])
            listed.append(sdr_of(samples, stems[around]))


def _around(stem: str, stems: Collection[str]) -> str | None:
    """Return the smallest of some root stems that holds a stem."""
    roots = [name for name in stems if not catalog.stem(name).parent]
    while stem and stem not in roots:
        stem = catalog.stem(stem).parent
    return stem or None


def _add_scores(
    tally: Tally, case: Case, true: Mapping[str, FloatArray], found: Sequence[Estimate]
) -> None:
    names = list(case.pieces)
    shares = WrongShares(list(case.pieces.values()), [one.samples for one in found])
    for index, one in enumerate(found):
        own = belonging(names, one.stem) or frozenset()
        score = Score(
            sdr_db=sdr_of(true[one.stem], one.samples),
            si_sdr_db=si_sdr_db(true[one.stem], one.samples),
            wrong_share=shares.of(index, [names.index(name) for name in own]),
            bars=bars(true[one.stem], one.parent, one.mixture),
            seconds=one.seconds,
        )
        tally.scores.setdefault((one.stem, one.model, one.start), []).append(score)


def _mean(values: Iterator[float] | Sequence[float]) -> float:
    return round(mean(values), 2)
