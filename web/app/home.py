"""What matters today, and what a new workspace does first."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.api_keys import api_key_list
from accounts.here import workspace_enter as enter
from accounts.principal import Principal
from accounts.scopes import CREDITS_READ, JOBS_READ, JOBS_WRITE, KEYS_WRITE, MEMBERS_WRITE
from accounts.selectors import members_list
from billing.credit_alerts import credits_low_get
from billing.selectors import wallet_get
from jobs.models import JobState
from jobs.searching import JobSearch, job_counts, job_page
from web.app.jobs import rows_of
from web.app.jobs_rows import ACTIVE
from web.views import app_page

_ROWS: Final = 8
_LATELY: Final = timedelta(days=7)


@dataclass(frozen=True)
class Step:
    """Of those with which a workspace begins: the name of its page, and what it is for."""

    page: str
    title: str | Promise
    text: str | Promise
    is_done: bool


@app_page()
def home(request: HttpRequest, principal: Principal) -> HttpResponse:
    may_see = CREDITS_READ in principal.scopes
    context = {
        "wallet": wallet_get(workspace=principal.workspace),
        "low": credits_low_get(workspace=principal.workspace) if may_see else None,
        "steps": _steps(principal),
        **(_jobs(principal) if JOBS_READ in principal.scopes else {}),
    }
    return render(request, "app/home.html", context)


@app_page(methods=["POST"])
def workspace_enter(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    assert principal.user is not None  # noqa: S101 - a page has a person
    enter(
        user=principal.user,
        session=request.session,
        workspace_uuid=request.POST.get("workspace", ""),
    )
    return redirect("app-home")


def _jobs(principal: Principal) -> dict[str, Any]:
    """Those under way first, then the latest of the others."""
    workspace = principal.workspace
    active = job_page(workspace=workspace, search=JobSearch(states=ACTIVE), size=_ROWS).jobs
    latest = job_page(workspace=workspace, search=JobSearch(), size=_ROWS).jobs
    known = {job.pk for job in active}
    rows = [*active, *(job for job in latest if job.pk not in known)][:_ROWS]
    since = timezone.now() - _LATELY
    counts = job_counts(workspace=workspace, search=JobSearch(since=since))
    in_progress = job_counts(workspace=workspace, search=JobSearch(states=ACTIVE))
    return {
        "rows": rows_of(rows, principal),
        "n_active": sum(in_progress.get(state, 0) for state in ACTIVE),
        "n_done": counts.get(JobState.SUCCEEDED, 0),
        "n_failed": counts.get(JobState.FAILED, 0),
        "since": timezone.localtime(since).date(),
    }


def _steps(principal: Principal) -> list[Step]:
    """Those that this reader can take; none once all of them are done."""
    workspace = principal.workspace
    steps = []
    if JOBS_WRITE in principal.scopes:
        has_jobs = bool(job_counts(workspace=workspace, search=JobSearch()))
        text = _("Drop a recording, choose what is to be made of it, and listen.")
        steps.append(Step("job-new", _("Take the first recording apart"), text, has_jobs))
    if KEYS_WRITE in principal.scopes:
        has_keys = api_key_list(workspace=workspace).exists()
        text = _("With a key, programs order jobs: one call, the same results.")
        steps.append(Step("keys", _("Make an API key"), text, has_keys))
    if MEMBERS_WRITE in principal.scopes:
        has_others = members_list(workspace=workspace).count() > 1
        text = _("Each member has a role that says what they may see and do.")
        steps.append(Step("team", _("Invite somebody"), text, has_others))
    return [] if all(step.is_done for step in steps) else steps
