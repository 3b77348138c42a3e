"""Links to a job for people without an account: made, listed, withdrawn."""

from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.mail import site_url
from accounts.principal import Principal
from accounts.scopes import JOBS_READ, JOBS_WRITE
from config.errors import NotAllowed, ValidationFailed
from jobs.models import Job
from jobs.selectors import job_get_for_workspace
from jobs.shares import PASSWORD_CHARS_AT_MOST, share_create, share_list, share_revoke
from web.forms import OnceForm, Refusals
from web.views import app_page

_LASTING: Final = ""


class ShareForm(OnceForm):
    days = forms.TypedChoiceField(
        choices=[
            ("1", gettext_lazy("1 day")),
            ("7", gettext_lazy("7 days")),
            ("30", gettext_lazy("30 days")),
            (_LASTING, gettext_lazy("As long as the files are kept")),
        ],
        coerce=int,
        empty_value=None,
        required=False,
        initial="7",
        label=gettext_lazy("Holds for"),
    )
    password = forms.CharField(
        required=False,
        strip=False,
        max_length=PASSWORD_CHARS_AT_MOST,
        label=gettext_lazy("Password"),
        help_text=gettext_lazy("Empty: whoever has the link can open it."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    may_download = forms.BooleanField(
        required=False, label=gettext_lazy("Files may be downloaded, too")
    )


@app_page(JOBS_READ, methods=("GET", "HEAD", "POST"))
def shares(request: HttpRequest, principal: Principal, job_uuid: UUID) -> HttpResponseBase:
    job = job_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
    if request.method != "POST":
        return _page(request, job, ShareForm(prefix="share"))
    if JOBS_WRITE not in principal.scopes:
        raise NotAllowed(_("Your role in this workspace does not allow this."))
    if request.POST.get("action") == "revoke":
        return _revoke(request, principal, job)
    return _create(request, principal, job)


def _create(request: HttpRequest, principal: Principal, job: Job) -> HttpResponse:
    form = ShareForm(request.POST, prefix="share")
    if form.is_valid():
        form.require_first(request)
        values = form.cleaned_data
        with Refusals(form):
            share, token = share_create(
                workspace=principal.workspace,
                job_uuid=job.uuid,
                actor=principal.actor,
                created_by=principal.user,
                days=values["days"],
                password=values["password"],
                may_download=values["may_download"],
            )
            url = site_url(reverse("share", args=[token]))
            context = {"job": job, "share": share, "url": url, "back": back_to(job)}
            return render(request, "app/share_made.html", context)
    return _page(request, job, form)


def _revoke(request: HttpRequest, principal: Principal, job: Job) -> HttpResponse:
    try:
        share_uuid = UUID(request.POST.get("share", ""))
    except ValueError:
        raise ValidationFailed from None
    share_revoke(workspace=principal.workspace, share_uuid=share_uuid, actor=principal.actor)
    messages.success(request, _("The link no longer opens anything."))
    return redirect(back_to(job))


def _page(request: HttpRequest, job: Job, form: ShareForm) -> HttpResponse:
    context = {"job": job, "share_form": form, "shares": share_list(job=job), "back": back_to(job)}
    status = 400 if form.errors else 200
    return render(request, "app/shares.html", context, status=status)


def back_to(job: Job) -> str:
    """The page of the job."""
    try:
        return reverse("job", args=[job.uuid])
    except NoReverseMatch:
        return reverse("job-shares", args=[job.uuid])


def shares_of(job: Job) -> dict[str, Any]:
    """For other pages that show them."""
    return {"form": ShareForm(prefix="share"), "shares": share_list(job=job)}
