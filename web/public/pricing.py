"""What it costs, of whom, and what is never charged: from the prices that hold."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from billing.models import Plan
from billing.shop import packs_list, plans_list
from web.calculator import offers_list
from web.public.landing import limits


@dataclass(frozen=True)
class PlanRow:
    """A plan, and what holds with it; None is no plan at all."""

    plan: Plan | None
    parallel_jobs: int | None
    results_days: int
    uploads_days: int


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    offers = offers_list(workspace=None)
    context = {
        "ours": [offer for offer in offers if offer.is_ours],
        "others": [offer for offer in offers if not offer.is_ours],
        "packs": packs_list(),
        "plans": [_row(None), *(_row(plan) for plan in plans_list())],
        **limits(),
    }
    return render(request, "public/pricing.html", context)


def _row(plan: Plan | None) -> PlanRow:
    if plan is None:
        return PlanRow(None, settings.PARALLEL_JOBS, settings.RESULTS_DAYS, settings.UPLOADS_DAYS)
    return PlanRow(
        plan,
        plan.parallel_jobs,
        plan.results_days or settings.RESULTS_DAYS,
        plan.uploads_days or settings.UPLOADS_DAYS,
    )
