"""Naming the speakers of a job, making several one, and who speaks when as a text."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from accounts.principal import Principal
from accounts.scopes import JOBS_READ, JOBS_WRITE
from config.errors import AppError, ValidationFailed
from jobs.speakers import speakers_get_for_workspace, speakers_merge, speakers_rename
from jobs.timeline_texts import timeline_text
from web.app.jobs_page import job_page_response
from web.views import app_page

_FIELD = "names."


@app_page(JOBS_WRITE, methods=["POST"])
def names(request: HttpRequest, principal: Principal, job_uuid: Any) -> HttpResponseBase:
    """Name the speakers; an empty name is the label again."""
    speakers = speakers_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
    given = {
        label: request.POST[f"{_FIELD}{label}"]
        for label in speakers.titles
        if f"{_FIELD}{label}" in request.POST
    }
    try:
        speakers_rename(workspace=principal.workspace, job_uuid=job_uuid, names=given)
    except ValidationFailed as error:
        errors = {
            field.removeprefix(_FIELD): " ".join(texts) for field, texts in error.fields.items()
        }
        return job_page_response(
            request, principal, job_uuid, status=error.status, names=given, errors=errors
        )
    messages.success(request, _("The names are saved."))
    return redirect("job", job_uuid)


@app_page(JOBS_WRITE, methods=["POST"])
def merge(request: HttpRequest, principal: Principal, job_uuid: Any) -> HttpResponseBase:
    """Order a free job in which the chosen speakers are one, the first of them."""
    speakers = speakers_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
    chosen = [label for label in speakers.titles if label in request.POST.getlist("speaker")]
    try:
        if len(chosen) < 2:
            raise ValidationFailed(_("Choose at least two speakers that are one."))
        merged = speakers_merge(
            workspace=principal.workspace,
            api_key=None,
            person=principal.user,
            job_uuid=job_uuid,
            groups=[chosen],
        )
    except AppError as error:
        return job_page_response(
            request, principal, job_uuid, status=error.status, problem=error.text
        )
    messages.success(request, _("A new job makes these speakers one."))
    return redirect("job", merged.uuid)


@app_page(JOBS_READ)
def timeline(request: HttpRequest, principal: Principal, job_uuid: Any, form: str) -> HttpResponse:
    """Who speaks when, in the format of another program."""
    speakers = speakers_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
    text = timeline_text(speakers, format_name=form)
    response = HttpResponse(text.content, content_type=text.content_type)
    disposition = content_disposition_header(as_attachment=True, filename=text.filename)
    response.headers["Content-Disposition"] = str(disposition)
    return response
