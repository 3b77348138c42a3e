"""What can be ordered here, as values for the APIs and pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.models import Workspace
from jobs.models import Service
from jobs.orders import TASKS
from jobs.separating import DIARIZATION
from jobs.switches import service_is_off
from separation import catalog
from separation.enhance.steps import STEPS
from separation.planning import can_be_made, possible

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
class StemOffer:
    name: str
    title: str
    description: str
    models: list[str]
    available: bool


@dataclass(frozen=True)
class ModelOffer:
    name: str
    title: str
    stems: list[str]
    available: bool
    availability: str
    licence: str
    licence_summary: str
    commercial_use: bool
    source: str
    sdr_db: dict[str, float]
    measured_on: str


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
        return _one_of(catalog.models())
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
    return [
        StemOffer(
            name=stem.name,
            title=stem.title,
            description=stem.description,
            models=[model.name for model in models if model.makes(stem)],
            available=stem.name in able,
        )
        for stem in catalog.stems()
    ]


def set_stems(name: str) -> tuple[str, ...]:
    """The stems of one of the catalogue's sets, whether or not they can be made here."""
    return catalog.stem_set(name).stems


def stems_possible(names: Sequence[str]) -> tuple[str, ...]:
    """As much of a set of stems as can be made here: parents in the place of their parts."""
    return possible(names)


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
        stems=list(model.stems),
        available=availability.is_installed,
        availability=availability.reason,
        licence=model.licence.id,
        licence_summary=model.licence.summary,
        commercial_use=model.licence.commercial_use,
        source=model.source_label,
        sdr_db=dict(model.quality.sdr_db),
        measured_on=model.quality.measured_on,
    )
