"""From a recording and an order to a job."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from django.core.files.uploadedfile import TemporaryUploadedFile

from accounts.models import Workspace
from accounts.principal import Principal
from api.musicgpt.dialect import NO_FIELD
from api.musicgpt.names import STEMS_BY_OURS, STEPS
from config.errors import (
    AppError,
    IdempotencyConflict,
    IncompatibleStems,
    ModelUnavailable,
    UnknownModel,
    ValidationFailed,
)
from jobs.catalog import stem_offers
from jobs.models import Asset, Job, Service
from jobs.orders import order_plan
from jobs.selectors import job_list
from jobs.separating import steps_check
from jobs.services import Order, asset_create, asset_delete, job_create
from jobs.storage import sha256_of


def conversion_create(
    *,
    principal: Principal,
    order: Order,
    upload: TemporaryUploadedFile | None,
    sample_rate: int | None = None,
    idempotency_key: str | None,
) -> Job:
    """Order a conversion of what was uploaded, or else of what lies at the order's address.

    With `sample_rate`, an upload of another one is refused.
    """
    with _named(order):
        # Before anything is kept, let alone charged.
        order_plan(order)
        if upload is None:
            return _job(principal, order, idempotency_key)
    return _of_upload(principal, order, upload, sample_rate, idempotency_key)


def _of_upload(
    principal: Principal,
    order: Order,
    upload: TemporaryUploadedFile,
    sample_rate: int | None,
    key: str | None,
) -> Job:
    workspace, path = principal.workspace, Path(upload.temporary_file_path())
    if asset := _known(workspace, path, key):
        return _of_asset(principal, order, asset, sample_rate, key)
    asset = asset_create(workspace=workspace, filename=upload.name or "", path=path)
    try:
        return _of_asset(principal, order, asset, sample_rate, key)
    except BaseException as error:
        # Nobody would ever order anything else of it: it has no name in this API.
        asset_delete(workspace=workspace, asset_uuid=asset.uuid)
        # The same call beside this one may have been first.
        known = _known(workspace, path, key) if isinstance(error, IdempotencyConflict) else None
        if known is None:
            raise
    return _of_asset(principal, order, known, sample_rate, key)


def _of_asset(
    principal: Principal, order: Order, asset: Asset, sample_rate: int | None, key: str | None
) -> Job:
    _check_rate(asset, sample_rate)
    with _named(order):
        return _job(principal, replace(order, asset_uuid=asset.uuid), key)


def _job(principal: Principal, order: Order, key: str | None) -> Job:
    return job_create(
        workspace=principal.workspace,
        api_key=principal.api_key,
        person=principal.user,
        order=order,
        idempotency_key=key,
    )


def _known(workspace: Workspace, path: Path, key: str | None) -> Asset | None:
    """The recording of the job that was made under this key, if the same file was sent again."""
    if key is None:
        return None
    job = job_list(workspace=workspace).filter(idempotency_key=key).first()
    if job is None or job.asset is None or job.asset.sha256 != sha256_of(path):
        return None
    return job.asset


def _check_rate(asset: Asset, sample_rate: int | None) -> None:
    if sample_rate not in (None, asset.sample_rate):
        problem = f"The recording has {asset.sample_rate} Hz, which are kept; rates do not change."
        raise ValidationFailed(fields={"target_sr": [problem]})


@contextmanager
def _named(order: Order) -> Iterator[None]:
    """Let errors speak of stems and steps as this API calls them."""
    try:
        yield
    except (ModelUnavailable, IncompatibleStems, UnknownModel) as error:
        wrong_steps = _missing_steps(order.steps)
        if wrong_steps:
            is_option = order.service == Service.SEPARATION
            field = "preprocessing_options" if is_option else NO_FIELD
            raise _not_here(field, wrong_steps) from error
        if not order.stems:
            raise
        missing = _missing_stems(order.stems)
        if missing:
            raise _not_here("stems", missing) from error
        names = ", ".join(STEMS_BY_OURS[stem] for stem in order.stems)
        problem = f"These cannot be taken out together here: {names}."
        raise ValidationFailed(fields={"stems": [problem]}) from error


def _not_here(field: str, names: Sequence[str]) -> ValidationFailed:
    verb = "is" if len(names) == 1 else "are"
    problem = f"{', '.join(names)} {verb} not available on this installation."
    return ValidationFailed(fields={field: [problem]})


def _missing_stems(stems: Sequence[str]) -> list[str]:
    available = {offer.name for offer in stem_offers() if offer.available}
    return [STEMS_BY_OURS[stem] for stem in stems if stem not in available]


def _missing_steps(steps: Sequence[str]) -> list[str]:
    missing = []
    for name, step in STEPS.items():
        if step not in steps:
            continue
        try:
            steps_check([step])
        except AppError:
            missing.append(name)
    return missing
