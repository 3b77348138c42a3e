"""A workspace's settings, what it may do and keep, and further workspaces."""

from django import forms
from django.conf import settings as configured
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.here import workspace_enter
from accounts.models import Role
from accounts.principal import Principal
from accounts.scopes import WORKSPACE_WRITE
from accounts.workspaces import workspace_create, workspace_name_problem, workspace_rename
from billing.limits import limits_get
from config.errors import NotAllowed
from web.forms import Refusals
from web.views import app_page

_ASK = ("GET", "HEAD", "POST")


class WorkspaceForm(forms.Form):
    name = forms.CharField(
        max_length=100,
        label=gettext_lazy("Name"),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if problem := workspace_name_problem(name):
            raise forms.ValidationError(str(problem))
        return name


@app_page(methods=_ASK)
def settings(request: HttpRequest, principal: Principal) -> HttpResponse:
    workspace = principal.workspace
    form = WorkspaceForm(request.POST or None, initial={"name": workspace.name})
    if request.method == "POST" and WORKSPACE_WRITE not in principal.scopes:
        raise NotAllowed(_("Your role in this workspace does not allow this."))
    if form.is_valid():
        with Refusals(form):
            workspace_rename(
                workspace=workspace, name=form.cleaned_data["name"], actor=principal.actor
            )
            messages.success(request, _("The workspace was renamed."))
            return redirect("settings")
    context = {
        "form": form,
        "limits": limits_get(workspace=workspace),
        "recording_max_s": configured.RECORDING_MAX_SECONDS,
        "upload_max_bytes": configured.UPLOAD_MAX_BYTES,
        "rate_limit": configured.RATE_LIMIT_PER_MINUTE,
        "is_owner": principal.role == Role.OWNER,
    }
    return render(request, "app/settings.html", context, status=400 if form.is_bound else 200)


@app_page(methods=_ASK)
def workspace_new(request: HttpRequest, principal: Principal) -> HttpResponse:
    form = WorkspaceForm(request.POST or None)
    if form.is_valid():
        assert principal.user is not None  # noqa: S101 - a page has a person
        with Refusals(form):
            made = workspace_create(
                name=form.cleaned_data["name"], actor=principal.actor, owner=principal.user
            )
            workspace_enter(
                user=principal.user, session=request.session, workspace_uuid=str(made.uuid)
            )
            messages.success(request, _("“%(name)s” is yours.") % {"name": made.name})
            return redirect("app-home")
    return render(
        request, "app/workspace_new.html", {"form": form}, status=400 if form.is_bound else 200
    )
