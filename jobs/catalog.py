"""What can be ordered here, as values for the APIs and pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.models import Service
from jobs.separating import DIARIZATION
from separation import catalog
from separation.enhance.steps import STEPS


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


def service_offers() -> list[ServiceOffer]:
    """What can be ordered; a service is available if one of its models is."""
    separating = catalog.models()
    finding = [tool for tool in catalog.tools() if tool.task == DIARIZATION]
    return [
        _service_offer(Service.SEPARATION, "Separation", "A recording into stems.", separating),
        _service_offer(
            Service.SPEAKER_EXTRACTION,
            "Speaker extraction",
            "Who speaks when, and one track for each speaker.",
            finding,
        ),
    ]


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
    installed = {model.name for model in models if catalog.availability(model).is_installed}
    offers = []
    for stem in catalog.stems():
        makers = [model.name for model in models if model.makes(stem)]
        offers.append(
            StemOffer(
                name=stem.name,
                title=stem.title,
                description=stem.description,
                models=makers,
                available=bool(installed & set(makers)),
            )
        )
    return offers


def _service_offer(
    service: Service, title: str, description: str, models: Sequence[catalog.Package]
) -> ServiceOffer:
    return ServiceOffer(
        name=service,
        title=title,
        description=description,
        models=[model.name for model in models],
        available=any(catalog.availability(model).is_installed for model in models),
    )


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
        source=tool.sources[0].label,
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
        source=model.sources[0].label,
        sdr_db=dict(model.quality.sdr_db),
        measured_on=model.quality.measured_on,
    )
