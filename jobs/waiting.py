"""Jobs that are ordered before their recording is here: it is fetched from an address first.

Such a job has no price and holds no credits. What becomes of it then: jobs/arrivals.py.
"""

from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, User, Workspace
from billing.pricing import price_mcr
from billing.selectors import rate_get, wallet_get
from config.errors import InsufficientCredits, LimitReached, ValidationFailed, WrongState, filled
from jobs.importing import import_create, import_get_for_workspace
from jobs.logs import request_id
from jobs.models import INGEST_ENDED, Ingest, Job, JobEvent, JobState
from jobs.orders import Order, order_plan

# They hold no credits that would keep them few, and all begin in the one step that ends the import.
_JOBS_AT_MOST: Final = 100


def job_wait(
    *,
    workspace: Workspace,
    api_key: ApiKey | None,
    person: User | None,
    order: Order,
    values: dict[str, Any],
) -> Job:
    """Make a job that waits for an import, which is begun unless there is one. In a transaction."""
    stems, model = order_plan(order)
    _check_credits(workspace, order)
    job = Job.objects.create(
        workspace=workspace,
        api_key=api_key,
        ordered_by=person,
        ingest=_import(workspace, api_key, order),
        waiting_order=order.to_json(),
        state=JobState.WAITING,
        stems=list(stems),
        model=model,
        price_mcr=0,
        request_id=request_id(),
        **values,
    )
    JobEvent.objects.create(job=job, kind="waiting", attempt=0)
    job.outputs = []  # type: ignore[attr-defined]
    return job


def _import(workspace: Workspace, api_key: ApiKey | None, order: Order) -> Ingest:
    if order.import_uuid is None:
        if not order.url:
            raise ValidationFailed(fields={"asset": [_("Name a recording or its address.")]})
        return import_create(workspace=workspace, api_key=api_key, url=order.url)
    found = import_get_for_workspace(workspace=workspace, import_uuid=order.import_uuid)
    # Locked, so that it does not end unseen.
    ingest = Ingest.objects.select_for_update().get(pk=found.pk)
    if ingest.state in INGEST_ENDED:
        raise WrongState(_("The import has ended; order with the asset that it made."))
    if Job.objects.filter(ingest=ingest, state=JobState.WAITING).count() >= _JOBS_AT_MOST:
        text = filled(
            _("At most %(most)s jobs wait for an import; order others once it has come."),
            most=_JOBS_AT_MOST,
        )
        raise LimitReached(text, data={"max_jobs": _JOBS_AT_MOST})
    return ingest


def _check_credits(workspace: Workspace, order: Order) -> None:
    """Refuse at once what cannot be paid, however short the recording will turn out to be."""
    rate = rate_get(workspace=workspace, service=order.tariff or order.service)
    least_mcr = price_mcr(rate=rate, n_samples=1, sample_rate=48_000)
    available_mcr = wallet_get(workspace=workspace).available_mcr
    if available_mcr < least_mcr:
        data = {"required_mcr": least_mcr, "available_mcr": available_mcr}
        raise InsufficientCredits(data=data)
