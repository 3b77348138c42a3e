"""All stems of a job in one file, on its page: asked for, looked at until it is there, saved."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.principal import Principal
from accounts.scopes import JOBS_READ
from config.errors import NotFound
from jobs.mixing import stem_mix_assets, stem_mix_create, stem_mix_of
from jobs.models import DerivedState, Job, Mix
from jobs.selectors import job_get_for_workspace
from web.views import app_page


@app_page(JOBS_READ, methods=("GET", "HEAD", "POST"))
def stem_file(request: HttpRequest, principal: Principal, job_uuid: UUID) -> HttpResponseBase:
    """A part of the job's page for htmx; else back to the page."""
    if request.method == "POST":
        stem_mix_create(workspace=principal.workspace, job_uuid=job_uuid)
    found = job_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
    if "HX-Request" not in request.headers:
        return redirect(reverse("job", args=[job_uuid]) + "#files")
    shown = stem_file_of(found)
    if shown is None:
        raise NotFound
    response = render(request, "app/_stem_file.html", {"stem_file": shown})
    if not shown["is_making"]:
        # Whatever of the row was asked for: all of it is another now.
        response["HX-Retarget"] = response["HX-Reselect"] = "#stem-file"
    return response


def stem_file_of(job: Job) -> dict[str, Any] | None:
    """How far the file is, of a job read with its outputs; None if it cannot have one."""
    if not stem_mix_assets(job):
        return None
    mix = stem_mix_of(job)
    return {
        "url": reverse("job-stem-file", args=[job.uuid]),
        "mix": mix,
        "download_url": _download_url(job, mix),
        "is_making": mix is not None and mix.state in (DerivedState.QUEUED, DerivedState.RUNNING),
    }


def _download_url(job: Job, mix: Mix | None) -> str:
    is_ready = mix is not None and mix.is_ready
    return reverse("job-mix-file", args=[job.uuid, mix.uuid]) if mix and is_ready else ""
