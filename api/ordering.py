"""Ordering a job as whoever calls, in the way of all APIs that take one order a call."""

from rest_framework.request import Request

from api.authentication import principal_of
from api.idempotency import idempotency_key
from jobs.models import Job
from jobs.ordering import Repeat
from jobs.services import Order, job_create


def job_ordered(request: Request, order: Order, *, repeat: Repeat | None = None) -> Job:
    """The job; the same order again under the same Idempotency-Key is the same job."""
    principal = principal_of(request)
    return job_create(
        workspace=principal.workspace,
        api_key=principal.api_key,
        person=principal.user,
        order=order,
        idempotency_key=idempotency_key(request),
        repeat=repeat,
    )
