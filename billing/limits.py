"""What a workspace may do and keep: as its plan says, else as the settings say."""

from dataclasses import dataclass
from typing import Final

from django.conf import settings

from accounts.models import Workspace
from billing.models import Plan

# Stripe's words. `past_due`: it still tries to collect.
HOLDING = ("active", "trialing", "past_due")

# For each workspace with a plan that holds: how many of its jobs may run at the same time (null:
# any number). A workspace without a row has settings.PARALLEL_JOBS.
PARALLEL_JOBS_SQL: Final = """
SELECT DISTINCT ON (s.workspace_id) s.workspace_id, p.parallel_jobs
  FROM billing_subscription s JOIN billing_plan p ON p.id = s.plan_id
  WHERE s.status IN ('active', 'trialing', 'past_due')
  ORDER BY s.workspace_id, s.id DESC
"""


@dataclass(frozen=True)
class Limits:
    # None: any number.
    parallel_jobs: int | None
    results_days: int
    uploads_days: int


def limits_get(*, workspace: Workspace) -> Limits:
    plan = (
        Plan.objects.filter(subscription__workspace=workspace, subscription__status__in=HOLDING)
        .order_by("-subscription__pk")
        .first()
    )
    if plan is None:
        return Limits(settings.PARALLEL_JOBS, settings.RESULTS_DAYS, settings.UPLOADS_DAYS)
    return Limits(
        plan.parallel_jobs,
        plan.results_days or settings.RESULTS_DAYS,
        plan.uploads_days or settings.UPLOADS_DAYS,
    )
