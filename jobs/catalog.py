"""What can be ordered here, as values for the APIs and pages."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median

from accounts.models import Workspace
from jobs.models import Service
from jobs.orders import TASKS
from jobs.separating import DIARIZATION
from jobs.switches import service_is_off
from separation import catalog
from separation.enhance.steps import STEPS
from separation.planning import can_be_made, makers, possible

_SERVICES = {
    Service.SEPARATION: ("Separation", "A recording into stems."),
    Service.SPEAKER_EXTRACTION: (
        "Speaker extraction",
        "Who speaks when, and one track for each speaker.",
    ),
    Service.SPEAKER_DIARIZATION: ("Speaker diarization", "Who speaks when, without tracks."),
    Service.ENHANCEMENT: ("Enhancement", "A recording cleaned by the steps that you name."),
    Service.ANALYSIS: ("Analysis", "Tempo, beats and key of music."),
    Service.TRANSCRIPTION: ("Transcription", "The notes of music, as MIDI."),
    Service.CONVERSION: ("Conversion", "A recording, or a range of it, in other formats."),
}


@dataclass(frozen=True)
class QualityOffer:
    """What was measured of one stem of one model on one set of songs; ratios in dB."""

    stem: str
    model: str
    measured_on: str
    about: str
    # `real` recordings, or `synthetic` ones that were made for it.
    kind: str
    # What was given: the `recording`, or the true `parent`.
    start: str
    songs: int
    sdr_db: float
    si_sdr_db: float
    wrong_share: float
    parent_db: float
    static_eq_db: float
    oracle_mask_db: float
    peer: str | None
    peer_db: float | None
    seconds: float
    date: str
    commit: str


@dataclass(frozen=True)
class Recovered:
    """How good a stem of one model is: SDR in dB, the mean over the songs that decide."""

    stem: str
    sdr_db: float
    # By how much that is more than of its parent at the best level.
    margin_db: float
    experimental: bool


@dataclass(frozen=True)
class StemOffer:
    """A stem; figures are those of the first of its models that is installed, or of all."""

    name: str
    title: str
    description: str
    group: str
    parent: str
    models: list[str]
    available: bool
    # Whether it was not shown to be better than its parent at the best level by 2 dB.
    experimental: bool
    sdr_db: float | None
    margin_db: float | None
    quality: list[QualityOffer]


@dataclass(frozen=True)
class ModelOffer:
    name: str
    title: str
    # What it takes apart: a stem; empty for a recording.
    input: str
    stems: list[str]
    # `network`, or `signal processing`: nothing that was learned.
    method: str
    available: bool
    availability: str
    licence: str
    licence_summary: str
    commercial_use: bool
    source: str
    # Of work on the machine that measured, for each second of audio; None if it was not measured.
    seconds: float | None
    # Of the stems that were measured.
    quality: list[Recovered]


@dataclass(frozen=True)
class ToolOffer:
    name: str
    title: str
    task: str
    available: bool
    availability: str
    licence: str
    licence_summary: str
    commercial_use: bool
    source: str


@dataclass(frozen=True)
class StepOffer:
    name: str
    title: str
    description: str
    tools: list[str]
    available: bool


@dataclass(frozen=True)
class ServiceOffer:
    name: str
    title: str
    description: str
    models: list[str]
    available: bool


def service_offers(*, workspace: Workspace | None = None) -> list[ServiceOffer]:
    """What can be ordered, and whether it can be here and now; by this workspace, if one asks."""
    offers = []
    for service, (title, description) in _SERVICES.items():
        models, is_able = _makers(service)
        if workspace is not None and service_is_off(service, workspace=workspace):
            is_able = False
        offers.append(ServiceOffer(service, title, description, models, is_able))
    return offers


def _makers(service: Service) -> tuple[list[str], bool]:
    """What does the work, and whether enough of it is installed."""
    if service == Service.SEPARATION:
        # Some models only take apart what another one made.
        return [model.name for model in catalog.models()], bool(can_be_made())
    if service == Service.ENHANCEMENT:
        return _one_of([tool for step in STEPS for tool in step.tools])
    # All that one of these tasks needs is needed; a conversion needs none.
    tasks = TASKS.get(service, () if service == Service.CONVERSION else (DIARIZATION,))
    found = [_one_of([tool for tool in catalog.tools() if tool.task == task]) for task in tasks]
    return [name for names, _ in found for name in names], all(able for _, able in found)


def _one_of(packages: Sequence[catalog.Package]) -> tuple[list[str], bool]:
    installed = any(catalog.availability(package).is_installed for package in packages)
    return [package.name for package in packages], installed


def tool_offers() -> list[ToolOffer]:
    return [_tool_offer(tool) for tool in catalog.tools()]


def step_offers() -> list[StepOffer]:
    """What can be done to a recording before, or by the service `enhancement`."""
    return [
        StepOffer(
            name=step.name,
            title=step.title,
            description=step.description,
            tools=[tool.name for tool in step.tools],
            available=step.is_available,
        )
        for step in STEPS
    ]


def model_offers() -> list[ModelOffer]:
    return [_model_offer(model) for model in catalog.models()]


def stem_offers() -> list[StemOffer]:
    models = catalog.models()
    able = can_be_made()
    installed = {model.name for model in models if catalog.availability(model).is_installed}
    return [_stem_offer(stem, installed, is_able=stem.name in able) for stem in catalog.stems()]


def set_stems(name: str) -> tuple[str, ...]:
    """The stems of one of the catalogue's sets, whether or not they can be made here."""
    return catalog.stem_set(name).stems


def stems_possible(names: Sequence[str]) -> tuple[str, ...]:
    """As much of a set of stems as can be made here: parents in the place of their parts."""
    return possible(names)


def _stem_offer(
    stem: catalog.Stem,
    installed: Collection[str],
    *,
    is_able: bool,
) -> StemOffer:
    names = list(makers(stem))
    taken = next((name for name in names if name in installed), names[0] if names else "")
    quality = catalog.quality_of(stem.name, taken)
    return StemOffer(
        name=stem.name,
        title=stem.title,
        description=stem.description,
        group=stem.group,
        parent=stem.parent,
        models=names,
        available=is_able,
        experimental=quality.is_experimental,
        sdr_db=quality.sdr_db,
        margin_db=quality.margin_db,
        quality=[offer for name in names for offer in _quality_offers(stem.name, name)],
    )


def _quality_offers(stem: str, model: str) -> list[QualityOffer]:
    return [
        QualityOffer(
            stem=one.stem,
            model=one.model,
            measured_on=one.set.name,
            about=one.set.about,
            kind=one.set.kind,
            start=one.start,
            songs=one.n,
            sdr_db=one.sdr_db,
            si_sdr_db=one.si_sdr_db,
            wrong_share=one.wrong_share,
            parent_db=one.parent_db,
            static_eq_db=one.static_eq_db,
            oracle_mask_db=one.oracle_mask_db,
            peer=one.peer,
            peer_db=one.peer_db,
            seconds=one.seconds,
            date=one.date,
            commit=one.commit,
        )
        for one in catalog.quality_of(stem, model).measurements
    ]


def _tool_offer(tool: catalog.Tool) -> ToolOffer:
    availability = catalog.availability(tool)
    return ToolOffer(
        name=tool.name,
        title=tool.title,
        task=tool.task,
        available=availability.is_installed,
        availability=availability.reason,
        licence=tool.licence.id,
        licence_summary=tool.licence.summary,
        commercial_use=tool.licence.commercial_use,
        source=tool.source_label,
    )


def _model_offer(model: catalog.Model) -> ModelOffer:
    availability = catalog.availability(model)
    return ModelOffer(
        name=model.name,
        title=model.title,
        input=model.input,
        stems=list(model.stems),
        method="network" if model.has_weights else "signal processing",
        available=availability.is_installed,
        availability=availability.reason,
        licence=model.licence.id,
        licence_summary=model.licence.summary,
        commercial_use=model.licence.commercial_use,
        source=model.source_label,
        seconds=_seconds(model),
        quality=quality_offers(model),
    )


def quality_offers(model: catalog.Model) -> list[Recovered]:
    """How good the stems of a model are, those that were measured."""
    found = []
    for stem in catalog.stems():
        if not model.makes(stem):
            continue
        quality = catalog.quality_of(stem.name, model.name)
        if quality.sdr_db is not None and quality.margin_db is not None:
            found.append(
                Recovered(stem.name, quality.sdr_db, quality.margin_db, quality.is_experimental)
            )
    return found


def _seconds(model: catalog.Model) -> float | None:
    """What a second of audio took, of a child alone: where the true parent was given."""
    start = "parent" if model.input else "recording"
    taken = [
        one.seconds
        for stem in catalog.stems()
        for one in catalog.quality_of(stem.name, model.name).measurements
        if one.start == start
    ]
    return round(median(taken), 3) if taken else None
