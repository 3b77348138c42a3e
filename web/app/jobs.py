"""The list of jobs, and what is done with several of them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from accounts.api_keys import api_key_list
from accounts.principal import Principal
from accounts.scopes import JOBS_READ, JOBS_WRITE, KEYS_READ, MEMBERS_READ
from accounts.selectors import members_list
from config.errors import AppError, NotFound, ValidationFailed
from jobs.archives import archive_answer, archive_of_jobs
from jobs.models import JobState
from jobs.searching import COUNT_AT_MOST, JobSearch, job_counts, job_page
from jobs.selectors import job_get_for_workspace
from jobs.services import job_cancel, job_delete, job_retry
from web.app.jobs_rows import ACTIVE, JobRow, shown_name
from web.app.jobs_words import SERVICES, STATES
from web.time_zone import midnight
from web.views import app_page

_PAGE_SIZE: Final = 25
_AT_ONCE: Final = 100
_TEXT_CHARS: Final = 200
# Of the chips over the list.
_STATUSES: Final[dict[str, tuple[str | Promise, tuple[str, ...]]]] = {
    "": (_lazy("All"), ()),
    "active": (_lazy("In progress"), ACTIVE),
    "succeeded": (STATES[JobState.SUCCEEDED], (JobState.SUCCEEDED,)),
    "failed": (STATES[JobState.FAILED], (JobState.FAILED,)),
    "cancelled": (STATES[JobState.CANCELLED], (JobState.CANCELLED,)),
}
# Ordered by a person.
_NO_KEY: Final = "none"
# Of whoever looks at the list, so that the address may be shared.
_ME: Final = "me"


@app_page(JOBS_READ)
def jobs(request: HttpRequest, principal: Principal) -> HttpResponse:
    values = request.GET
    search = _search(values, principal)
    counts = job_counts(workspace=principal.workspace, search=replace(search, states=()))
    page = job_page(
        workspace=principal.workspace,
        search=search,
        size=_PAGE_SIZE,
        is_oldest_first=values.get("sort") == "oldest",
        before=_uuid(values.get("before")),
        after=_uuid(values.get("after")),
    )
    context = {
        "rows": rows_of(page.jobs, principal),
        "page": page,
        "chips": _chips(counts, values.get("status", "")),
        "services": SERVICES,
        "keys": _keys(principal),
        "people": _people(principal, search.person),
        "filters": _filters(values),
        "is_searched": bool(search.text or search.states or _filters(values)),
        "has_jobs": bool(page.jobs or counts),
    }
    return render(request, "app/jobs.html", context)


def rows_of(found: Any, principal: Principal) -> list[JobRow]:
    may_write = JOBS_WRITE in principal.scopes
    return [JobRow(job, may_write=may_write) for job in found]


@app_page(JOBS_WRITE, methods=["POST"])
def jobs_act(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """One thing done with each of some jobs; what cannot be done with one does not stop others."""
    act = _ACTS.get(request.POST.get("action", ""))
    if act is None:
        raise ValidationFailed(_("This cannot be done with jobs."))
    job_uuids = job_uuids_of(request.POST.getlist("job"))
    if act is _delete and job_uuids and "confirmed" not in request.POST:
        # Pages with scripts let it be undone for a while instead.
        return _ask(request, principal, job_uuids)
    done, problems = 0, []
    for job_uuid in job_uuids:
        try:
            act(principal, job_uuid)
            done += 1
        except AppError as error:
            problems.append((job_uuid, error))
    said = _said(act, done) if job_uuids else _("Choose jobs first.")
    texts = [_problem(principal, *problem) for problem in problems]
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"said": said if done else "", "problems": texts})
    if done or not job_uuids:
        messages.success(request, said)
    for text in texts[:3]:
        messages.error(request, text)
    return redirect(_back(request))


@app_page(JOBS_READ)
def jobs_zip(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """All that several jobs made, as one file."""
    job_uuids = job_uuids_of(request.GET.getlist("job"))
    if not job_uuids:
        raise NotFound(_("Choose jobs first."))
    archive = archive_of_jobs(workspace=principal.workspace, job_uuids=job_uuids)
    return archive_answer(archive, is_head=request.method == "HEAD")


def job_uuids_of(texts: list[str]) -> list[UUID]:
    """As they come in forms and addresses."""
    if len(texts) > _AT_ONCE:
        raise ValidationFailed(_("Choose at most %(n)s jobs at once.") % {"n": _AT_ONCE})
    found = [_uuid(text) for text in dict.fromkeys(texts)]
    return [one for one in found if one is not None]


def _retry(principal: Principal, job_uuid: UUID) -> None:
    job_retry(workspace=principal.workspace, api_key=None, person=principal.user, job_uuid=job_uuid)


def _cancel(principal: Principal, job_uuid: UUID) -> None:
    job_cancel(workspace=principal.workspace, job_uuid=job_uuid)


def _delete(principal: Principal, job_uuid: UUID) -> None:
    job_delete(workspace=principal.workspace, job_uuid=job_uuid)


_ACTS: Final[Mapping[str, Callable[[Principal, UUID], None]]] = {
    "retry": _retry,
    "cancel": _cancel,
    "delete": _delete,
}


def _said(act: Callable[[Principal, UUID], None], done: int) -> str:
    if act is _retry:
        text = ngettext("%(n)s job ordered again.", "%(n)s jobs ordered again.", done)
    elif act is _cancel:
        text = ngettext("%(n)s job is being stopped.", "%(n)s jobs are being stopped.", done)
    else:
        text = ngettext("%(n)s job deleted.", "%(n)s jobs deleted.", done)
    return text % {"n": done}


def _problem(principal: Principal, job_uuid: UUID, error: AppError) -> str:
    try:
        job = job_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
    except NotFound:
        return error.text
    return f"{shown_name(job)}: {error.text}"


def _ask(request: HttpRequest, principal: Principal, job_uuids: list[UUID]) -> HttpResponse:
    found = [
        job_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
        for job_uuid in job_uuids
    ]
    context = {"rows": rows_of(found, principal), "back": _back(request)}
    return render(request, "app/jobs_delete.html", context)


def _back(request: HttpRequest) -> str:
    """The page that it was asked on, unless that is the page of a job that is gone now."""
    came_from = request.POST.get("back") or request.headers.get("Referer", "")
    hosts = {request.get_host()}
    path = urlsplit(came_from).path
    pages = {reverse("app-home"), reverse("jobs")}
    if request.POST.get("action") != "delete":
        pages |= {reverse("job", args=[one]) for one in job_uuids_of(request.POST.getlist("job"))}
    if path in pages and url_has_allowed_host_and_scheme(came_from, hosts):
        return came_from
    return reverse("jobs")


def _search(values: Mapping[str, str], principal: Principal) -> JobSearch:
    """What the address asks for; what is no value of anything is as if it were not there."""
    _title, states = _STATUSES.get(values.get("status", ""), ("", ()))
    service = values.get("service", "")
    key, person = values.get("key", ""), values.get("by", "")
    if person == _ME:
        person = str(principal.user.uuid) if principal.user else ""
    return JobSearch(
        states=states,
        service=service if service in SERVICES else "",
        key=_uuid(key),
        person=_uuid(person),
        is_without_key=key == _NO_KEY,
        text=values.get("q", "").replace("\x00", "").strip()[:_TEXT_CHARS],
        since=_day(values.get("from", "")),
        until=_day(values.get("to", ""), days=1),
    )


def _filters(values: Mapping[str, str]) -> dict[str, str]:
    """Those behind the disclosure that are in force."""
    names = ("service", "by", "key", "from", "to", "sort")
    return {name: values[name] for name in names if values.get(name)}


def _chips(counts: Mapping[str, int], chosen: str) -> list[dict[str, Any]]:
    """Each with how many there are; a `+` where not all were counted."""
    total = sum(counts.values())
    more = "+" if total >= COUNT_AT_MOST else ""
    chosen = chosen if chosen in _STATUSES else ""
    chips = []
    for name, (text, states) in _STATUSES.items():
        n = sum(counts.get(state, 0) for state in states) if states else total
        chips.append(
            {"name": name, "text": text, "count": f"{n:,}{more}", "is_chosen": name == chosen}
        )
    return chips


def _keys(principal: Principal) -> list[tuple[str, str]]:
    if KEYS_READ not in principal.scopes:
        return []
    keys = api_key_list(workspace=principal.workspace)
    return [(str(key.uuid), str(key)) for key in keys]


def _people(principal: Principal, asked: UUID | None) -> list[tuple[str, str]]:
    """The other members, for who may know them, and who is asked for if they have left."""
    if MEMBERS_READ not in principal.scopes or principal.user is None:
        return []
    members = members_list(workspace=principal.workspace).exclude(user=principal.user)
    people = {one.user.uuid: one.user.email for one in members.order_by("user__email")}
    if asked is not None and asked != principal.user.uuid:
        people.setdefault(asked, _("Somebody who has left"))
    return [(str(uuid), text) for uuid, text in people.items()]


def _day(text: str, *, days: int = 0) -> datetime | None:
    try:
        return midnight(date.fromisoformat(text), days=days)
    except ValueError:
        return None


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
