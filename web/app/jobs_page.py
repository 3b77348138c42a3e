"""The page of one job: how far it is, what it made, what was ordered and what it cost."""

import json
from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts.people import full_name
from accounts.principal import Principal
from accounts.scopes import CREDITS_READ, JOBS_READ, JOBS_WRITE
from billing.models import Entry
from billing.selectors import ledger_list
from config.errors import NotFound, ValidationFailed
from jobs.archives import archive_answer, archive_get_for_workspace
from jobs.listening import is_playable
from jobs.models import OF_SPEAKERS, Job, JobEvent, JobState, OutputKind
from jobs.naming import job_rename
from jobs.selectors import job_get_for_workspace
from jobs.speaker_options import SpeakerOptions
from jobs.speakers import speakers_get_for_workspace
from jobs.storage import download_token
from web.app.jobs_calls import calls_of
from web.app.jobs_results import Result, findings_of, results_of
from web.app.jobs_rows import JobRow, stem_name
from web.app.jobs_words import EVENTS
from web.app.speakers_view import SpeakersView
from web.app.stem_file import stem_file_of
from web.views import app_page

_EVENTS_AT_MOST: Final = 100
_PLAYABLE: Final = (OutputKind.STEM, OutputKind.TRACK, OutputKind.RECORDING)


@app_page(JOBS_READ)
def job(request: HttpRequest, principal: Principal, job_uuid: Any) -> HttpResponse:
    return job_page_response(request, principal, job_uuid)


@app_page(JOBS_WRITE, methods=["POST"])
def job_name(request: HttpRequest, principal: Principal, job_uuid: Any) -> HttpResponse:
    name = request.POST.get("name", "")
    try:
        job_rename(workspace=principal.workspace, job_uuid=job_uuid, name=name)
    except ValidationFailed as error:
        problem = " ".join(error.fields.get("name", [error.text]))
        return job_page_response(
            request,
            principal,
            job_uuid,
            status=error.status,
            given={"given_name": name, "name_problem": problem},
        )
    messages.success(request, _("The job was renamed."))
    return redirect("job", job_uuid)


@app_page(JOBS_READ)
def job_zip(request: HttpRequest, principal: Principal, job_uuid: Any) -> HttpResponseBase:
    archive = archive_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
    return archive_answer(archive, is_head=request.method == "HEAD")


@app_page(JOBS_READ)
def job_file(
    request: HttpRequest, principal: Principal, job_uuid: Any, asset_uuid: Any
) -> HttpResponseBase:
    """Leads to a link that works for a while; pages stay open for longer than links hold."""
    found = job_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
    outputs = found.outputs  # type: ignore[attr-defined]
    if asset_uuid not in {asset.uuid for asset in outputs}:
        raise NotFound(_("This file is no longer kept."))
    return HttpResponseRedirect(reverse("native-download", args=[download_token(str(asset_uuid))]))


def job_page_response(
    request: HttpRequest,
    principal: Principal,
    job_uuid: Any,
    *,
    status: int = 200,
    given: Mapping[str, str] | None = None,
    **more: Any,
) -> HttpResponse:
    """Also with what was wrong with a form on it."""
    found = job_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
    row = JobRow(found, may_write=JOBS_WRITE in principal.scopes)
    has_sound = any(asset.kind in _PLAYABLE for asset in row.outputs)
    context = {"row": row, **(given or {}), **_result_context(request, principal, row, more)}
    context |= {
        "facts": _facts(found),
        "metadata": json.dumps(found.metadata, indent=2, ensure_ascii=False)
        if found.metadata
        else "",
        "history": _history(found),
        "entries": _entries(principal, found),
        "calls": calls_of(found, site=f"{request.scheme}://{request.get_host()}"),
        "player_url": _url("job-player", job_uuid) if is_playable(found) else "",
        # Of what was made: where only the recording is heard, it could be had before.
        "mix_url": _url("job-mix", job_uuid) if has_sound else "",
    }
    return render(request, "app/job.html", context, status=status)


def _result_context(
    request: HttpRequest, principal: Principal, row: JobRow, more: dict[str, Any]
) -> dict[str, Any]:
    if row.state != JobState.SUCCEEDED:
        return {}
    speakers = None
    if row.job.service in OF_SPEAKERS:
        known = speakers_get_for_workspace(workspace=principal.workspace, job_uuid=row.job.uuid)
        speakers = SpeakersView(known, page=request.GET.get("turns", ""), **more)
    results = results_of(row.job, speakers.titles if speakers else {})
    expiries = [asset.expires_at for asset in row.outputs if asset.expires_at is not None]
    return {
        "speakers": speakers,
        "results": results,
        "fallback": _fallback(results),
        "findings": findings_of(row.job),
        "stem_file": stem_file_of(row.job),
        "kept_until": min(expiries, default=None),
    }


def _fallback(results: list[Result]) -> dict[str, Any] | None:
    """What is heard where the player cannot be had: the first stem, or all of one speaker."""
    for result in results:
        for _name, asset in result.files:
            if asset.kind in _PLAYABLE:
                return {"name": result.title, "asset": asset}
    return None


def _facts(job: Job) -> list[tuple[str, str | Promise]]:
    """What was ordered; what was left as it is by itself is not told."""
    facts: list[tuple[str, Any]] = [
        (_("Stems"), ", ".join(stem_name(stem) for stem in job.stems)),
        (_("Model"), job.model),
        (_("Formats"), ", ".join([job.output_format, *job.more_formats])),
        (_("Range"), _range(job)),
        (_("Done to the recording before"), ", ".join(stem_name(step) for step in job.steps)),
        *(_speaker_facts(job) if job.service in OF_SPEAKERS else []),
        (_("Recording"), job.asset.filename if job.name and job.asset else ""),
        (_("Ordered by"), _person(job)),
        (_("Ordered with"), str(job.api_key) if job.api_key else _("no key: by a person")),
        (_("Through the API of"), "" if job.dialect in ("native", "web") else job.dialect),
        (_("Told when it ends"), job.callback_url),
        (_("Request"), job.request_id),
    ]
    return [(name, text) for name, text in facts if text]


def _person(job: Job) -> str:
    person = job.ordered_by
    if person is None:
        return ""
    name = full_name(person)
    return f"{name} ({person.email})" if name else person.email


def _speaker_facts(job: Job) -> list[tuple[str, str]]:
    options = SpeakerOptions.from_json(job.options)
    exact, few, many = options.num_speakers, options.min_speakers, options.max_speakers
    count = str(exact or "")
    if exact is None and (few or many):
        count = _("%(few)s to %(many)s") % {"few": few or 1, "many": many or _("any number")}
    return [
        (_("Speakers expected"), count),
        (_("Pauses"), _("left out") if options.pauses == "close" else ""),
        (_("Where several speak at once"), options.overlap),
        (_("Loudness"), "" if options.loudness is None else f"{options.loudness:g} LUFS"),
        (_("Noise"), _("removed") if options.denoise else ""),
    ]


def _range(job: Job) -> str:
    if job.range_start is None or job.range_end is None:
        return ""
    rate = job.recording.sample_rate
    return f"{job.range_start / rate:.2f} s – {job.range_end / rate:.2f} s"


def _history(job: Job) -> list[dict[str, Any]]:
    events = JobEvent.objects.filter(job=job).order_by("pk")[:_EVENTS_AT_MOST]
    return [
        {
            "text": EVENTS.get(event.kind, event.kind),
            "attempt": event.attempt,
            "detail": event.detail,
            "at": event.created_at,
        }
        for event in events
    ]


def _entries(principal: Principal, job: Job) -> list[Entry]:
    if CREDITS_READ not in principal.scopes:
        return []
    entries = ledger_list(workspace=principal.workspace).filter(transaction__job_uuid=job.uuid)
    return list(entries.order_by("pk"))


def _url(name: str, job_uuid: Any) -> str:
    """Empty for a page that this installation does not have."""
    try:
        return reverse(name, args=[job_uuid])
    except NoReverseMatch:
        return ""
