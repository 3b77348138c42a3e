"""What callers ask for, and what it comes to before anything is made or held."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Self
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from billing.pricing import price_mcr
from billing.selectors import rate_get
from config.errors import RangeOutside, Text, ValidationFailed, filled
from jobs.models import OF_SPEAKERS, Asset, Service
from jobs.selectors import asset_get_for_workspace
from jobs.separating import (
    enhancement_plan,
    format_check,
    format_fits,
    separation_plan,
    speakers_plan,
    steps_check,
    tool_plan,
)
from jobs.speaker_options import SpeakerOptions

# What the tools of the catalogue that these services use are for.
TASKS = {
    Service.TRANSCRIPTION: ("transcription",),
    # The key is found by what the transcription hears.
    Service.ANALYSIS: ("beats", "transcription"),
}


@dataclass(frozen=True)
class Order:
    """What a caller asks for; `stems` and `model` may be left to the catalogue.

    The recording is `asset_uuid`, or has the address `url`, or is what the import `import_uuid`
    brings. Only separation has stems, only the services of speakers have `speakers`.
    """

    asset_uuid: UUID | None = None
    service: str = Service.SEPARATION
    stems: Sequence[str] | None = None
    model: str | None = None
    output_format: str = "wav"
    # Told when the job ends.
    callback_url: str = ""
    speakers: SpeakerOptions | None = None
    url: str = ""
    import_uuid: UUID | None = None
    # Everything in these formats too.
    more_formats: Sequence[str] = ()
    # And in these, unless they cannot hold the recording.
    formats_if_possible: Sequence[str] = ()
    # From the first second to before the other; the end may lie beyond that of the recording.
    range_s: tuple[float, float] | None = None
    # Pre-processing, or what is done by the service `enhancement`.
    steps: Sequence[str] = ()
    # The name of the price; the service's own without one.
    tariff: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    dialect: str = "native"
    dialect_data: Mapping[str, Any] = field(default_factory=dict)
    callback_style: str = "native"
    callback_secret: str = ""

    @property
    def sha256(self) -> str:
        """Tells whether a repeated order is the same one."""
        values = asdict(self)
        for name, default in _LATER.items():
            # Orders that were made before there were any keep their hash.
            if values[name] == default:
                del values[name]
        return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """What has to be known once the recording is there; the row of the job has the rest."""
        return {
            "stems": None if self.stems is None else list(self.stems),
            "model": self.model,
            "range_s": self.range_s,
            "formats_if_possible": list(self.formats_if_possible),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], **known: Any) -> Self:
        range_s = values["range_s"]
        return cls(
            stems=values["stems"],
            model=values["model"],
            range_s=None if range_s is None else (range_s[0], range_s[1]),
            formats_if_possible=tuple(values["formats_if_possible"]),
            **known,
        )


def _defaults() -> dict[str, Any]:
    first = ("asset_uuid", "service", "stems", "model", "output_format")
    return {
        one.name: one.default if one.default is not MISSING else {}
        for one in fields(Order)
        if one.name not in first
    }


_LATER = _defaults()


@dataclass(frozen=True)
class Quote:
    """What an order comes to: the price, and what exactly would be made."""

    asset: Asset
    stems: tuple[str, ...]
    model: str
    price_mcr: int
    # Samples of the recording; None: all of it.
    samples: tuple[int, int] | None = None
    more_formats: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        start, end = self.samples or (0, self.asset.n_samples)
        return (end - start) / self.asset.sample_rate


def job_estimate(*, workspace: Workspace, order: Order) -> Quote:
    if order.asset_uuid is None:
        problem = _("What a recording costs is known once it is here; import it first.")
        raise ValidationFailed(fields={"asset": [problem]})
    asset = asset_get_for_workspace(workspace=workspace, asset_uuid=order.asset_uuid)
    return order_quote(workspace=workspace, order=order, asset=asset)


def order_quote(*, workspace: Workspace, order: Order, asset: Asset) -> Quote:
    """Check all that can be wrong with an order of this recording, and price it."""
    stems, model = order_plan(order)
    for name in (order.output_format, *order.more_formats):
        format_check(name, asset)
    samples = _samples(asset, order.range_s)
    start, end = samples or (0, asset.n_samples)
    price = price_mcr(
        rate=rate_get(workspace=workspace, service=order.tariff or order.service),
        n_samples=end - start,
        sample_rate=asset.sample_rate,
        # How many tracks there will be, nobody knows.
        n_stems=max(1, len(stems)),
    )
    possible = [name for name in order.formats_if_possible if format_fits(name, asset)]
    more_formats = (*order.more_formats, *possible)
    return Quote(asset, stems, model, price, samples, more_formats)


def order_plan(order: Order) -> tuple[tuple[str, ...], str]:
    """The stems and the model, once all is checked that is known without the recording."""
    _check_fields(order)
    steps_check(order.steps)
    for name in (order.output_format, *order.more_formats, *order.formats_if_possible):
        format_check(name, None)
    if order.service in OF_SPEAKERS:
        options = order.speakers or SpeakerOptions()
        options.check()
        return (), speakers_plan(model=order.model, is_denoised=options.denoise)
    if order.service == Service.SEPARATION:
        plan = separation_plan(stems=order.stems, model=order.model)
        return plan.stems, plan.model.name
    if order.service == Service.ENHANCEMENT:
        return (), enhancement_plan(order.steps)
    if order.service in TASKS:
        tasks = TASKS[Service(order.service)]
        model = order.model if len(tasks) == 1 else None
        return (), "+".join(tool_plan(task=task, model=model) for task in tasks)
    return (), ""


def _check_fields(order: Order) -> None:
    problems: dict[str, list[Text]] = {}
    if order.service != Service.SEPARATION and order.stems is not None:
        problems["stems"] = [
            _("This service makes a track of each speaker; leave the stems out.")
            if order.service in OF_SPEAKERS
            else _("This service makes no stems; leave the stems out.")
        ]
    if order.speakers is not None and order.service not in OF_SPEAKERS:
        problem = filled(
            _("The service %(service)s has no options; these are of speaker_extraction."),
            service=order.service,
        )
        problems["options"] = [problem]
    if order.service == Service.ENHANCEMENT and not order.steps:
        problems["steps"] = [_("Name at least one step.")]
    names = [order.output_format, *order.more_formats, *order.formats_if_possible]
    if len(set(names)) < len(names):
        problems["formats"] = [_("Name each format once.")]
    if problems:
        raise ValidationFailed(fields=problems)


def _samples(asset: Asset, range_s: tuple[float, float] | None) -> tuple[int, int] | None:
    if range_s is None:
        return None
    start, end = (round(min(second, 1e9) * asset.sample_rate) for second in range_s)
    end = min(end, asset.n_samples)
    if not 0 <= start < end:
        raise RangeOutside(data={"duration_s": round(asset.duration_s, 3)})
    return start, end
