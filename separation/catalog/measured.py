"""How well each stem was recovered, as `python -m benchmarks.quality --write` measured it.

The figures are data (`measured.json`): whoever shows them, or decides by them, reads them here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Literal

Kind = Literal["real", "synthetic"]
Start = Literal["recording", "parent"]

FILE: Final = "measured.json"

# What a stem must be better than the stem that it is cut from, turned to its best level, in dB.
MARGIN_DB: Final = 2.0


@dataclass(frozen=True, slots=True)
class SongSet:
    """Songs that were measured on: real recordings, or mixtures that were made for it."""

    name: str
    about: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Measurement:
    """One stem of one model on one set; each figure is the mean of one ratio a song.

    Attributes
    ----------
    stem, model : str
    set : SongSet
    start : {'recording', 'parent'}
        What was given: the recording, through all models of the chain, or the true parent, which
        tells what this model alone can do.
    n : int
        How many songs hold the stem.
    sdr_db, si_sdr_db : float
    wrong_share : float
        Share of the stem's energy that belongs to other stems, 0..1.
    parent_db, static_eq_db, oracle_mask_db : float
        SDR in dB of the parent at its best level and through its best constant equalizer, which
        need no separation, and of the best mask, which knows the result.
    seconds : float
        Of work on the machine that measured, for each second of audio.
    peer, peer_db
        The best of other ways in the same run, and its SDR in dB; None where there is none.
    date, commit : str
    """

    stem: str
    model: str
    set: SongSet
    start: Start
    n: int
    sdr_db: float
    si_sdr_db: float
    wrong_share: float
    parent_db: float
    static_eq_db: float
    oracle_mask_db: float
    seconds: float
    date: str
    commit: str
    peer: str | None = None
    peer_db: float | None = None

    @property
    def margin_db(self) -> float:
        """How much better it is than the parent at its best level."""
        return self.sdr_db - self.parent_db


@dataclass(frozen=True, slots=True)
class StemQuality:
    """All that was measured of one stem as one model makes it."""

    measurements: tuple[Measurement, ...] = ()

    @property
    def deciding(self) -> tuple[Measurement, ...]:
        """The measurements that count: of real recordings, if there are any, and among those
        the ones of the whole chain, which is what is delivered."""
        kinds = {one.set.kind for one in self.measurements}
        listed = [one for one in self.measurements if "real" not in kinds or one.set.kind == "real"]
        starts = {one.start for one in listed}
        return tuple(one for one in listed if "recording" not in starts or one.start == "recording")

    @property
    def margin_db(self) -> float | None:
        """How much better it is than its parent at the best level: the mean over all songs that
        decide; None if it was never measured."""
        listed = self.deciding
        n = sum(one.n for one in listed)
        return sum(one.n * one.margin_db for one in listed) / n if n else None

    @property
    def sdr_db(self) -> float | None:
        """The mean over all songs that decide; None if it was never measured."""
        listed = self.deciding
        n = sum(one.n for one in listed)
        return sum(one.n * one.sdr_db for one in listed) / n if n else None

    @property
    def is_experimental(self) -> bool:
        """Whether it was not shown to be better than its parent at the best level by 2 dB."""
        margin = self.margin_db
        return margin is None or margin < MARGIN_DB


def quality_of(stem: str, model: str) -> StemQuality:
    """Return what was measured of a stem as a model makes it; empty if nothing was."""
    found = [one for one in measurements() if (one.stem, one.model) == (stem, model)]
    return StemQuality(tuple(found))


@functools.cache
def measurements() -> tuple[Measurement, ...]:
    """Return all measurements that come with this version."""
    return parsed(resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8"))


def parsed(text: str) -> tuple[Measurement, ...]:
    """Return the measurements of a file's text; unknown keys are an error.

    Raises
    ------
    KeyError
        If a row names a set that the file does not have.
    TypeError
        If a row has other keys than it should.
    """
    values: Mapping[str, Any] = json.loads(text)
    sets = {name: SongSet(name, **about) for name, about in values["sets"].items()}
    rows: Sequence[Mapping[str, Any]] = values["rows"]
    return tuple(Measurement(**{**row, "set": sets[row["set"]]}) for row in rows)
