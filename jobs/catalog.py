"""What can be ordered here, as values for the APIs and pages."""

from dataclasses import dataclass

from separation import catalog


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
