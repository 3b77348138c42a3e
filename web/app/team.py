"""The people of a workspace: who belongs, what each may do, who is invited."""

from typing import Any, Final
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.invitations import invitation_create, invitation_resend, invitation_revoke
from accounts.models import Invitation, Membership, Role
from accounts.principal import Principal
from accounts.scopes import MEMBERS_READ, MEMBERS_WRITE, ROLE_SCOPES, WORKSPACE_OWN
from accounts.selectors import invitations_list, members_list
from accounts.workspaces import (
    member_change_role,
    member_remove,
    ownership_transfer,
    workspace_leave,
)
from config.errors import NotFound
from web.app.scope_texts import ABILITIES, ROLE_NAMES, ROLE_TEXTS, role_name
from web.forms import Refusals, TypedNameForm
from web.views import app_page

_ASK = ("GET", "HEAD", "POST")
# The owner's comes by transfer only.
_GRANTABLE: Final = [role for role in Role if role != Role.OWNER]


class RoleForm(forms.Form):
    role = forms.ChoiceField(
        choices=[(role.value, ROLE_NAMES[role]) for role in _GRANTABLE],
        widget=forms.RadioSelect,
        initial=Role.DEVELOPER.value,
        label=gettext_lazy("Role"),
    )

    def roles(self) -> list[dict[str, Any]]:
        """The choices as cards, each with what it is for."""
        return [
            {"radio": radio, "text": ROLE_TEXTS[Role(radio.data["value"])]}
            for radio in self["role"]
        ]


class InviteForm(RoleForm):
    email = forms.EmailField(
        max_length=254,
        label=gettext_lazy("E-mail address"),
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )


@app_page(MEMBERS_READ)
def team(request: HttpRequest, principal: Principal) -> HttpResponse:
    now = timezone.now()
    members = [
        {"member": member, "role": role_name(member.role), "is_self": member.user == principal.user}
        for member in members_list(workspace=principal.workspace).order_by("pk")
    ]
    invitations = [
        {"invitation": row, "role": role_name(row.role), "has_expired": row.expires_at <= now}
        for row in invitations_list(workspace=principal.workspace).order_by("-pk")
    ]
    context = {
        "members": members,
        "invitations": invitations,
        "roles": [(ROLE_NAMES[role], ROLE_TEXTS[role]) for role in Role],
        "abilities": [
            (text, [scope in ROLE_SCOPES[role] for role in Role]) for text, scope in ABILITIES
        ],
        "is_owner": principal.role == Role.OWNER,
    }
    return render(request, "app/team.html", context)


@app_page(MEMBERS_WRITE, methods=_ASK)
def team_invite(request: HttpRequest, principal: Principal) -> HttpResponse:
    form = InviteForm(request.POST or None)
    if form.is_valid():
        assert principal.user is not None  # noqa: S101 - a page has a person
        with Refusals(form):
            invitation = invitation_create(
                workspace=principal.workspace,
                email=form.cleaned_data["email"],
                role=Role(form.cleaned_data["role"]),
                invited_by=principal.user,
                actor=principal.actor,
            )
            messages.success(request, _("%(email)s is invited.") % {"email": invitation.email})
            return redirect("team")
    context = {"form": form, "days": settings.INVITATION_DAYS}
    return render(request, "app/team_invite.html", context, status=400 if form.is_bound else 200)


@app_page(MEMBERS_WRITE, methods=["POST"])
def team_invitation_resend(
    request: HttpRequest, principal: Principal, invitation_uuid: UUID
) -> HttpResponse:
    assert principal.user is not None  # noqa: S101 - a page has a person
    invitation = invitation_resend(
        workspace=principal.workspace,
        invitation_uuid=invitation_uuid,
        invited_by=principal.user,
        actor=principal.actor,
    )
    sent = _("%(email)s was sent a new link; the former one no longer works.")
    messages.success(request, sent % {"email": invitation.email})
    return redirect("team")


@app_page(MEMBERS_WRITE, methods=_ASK)
def team_invitation_revoke(
    request: HttpRequest, principal: Principal, invitation_uuid: UUID
) -> HttpResponse:
    if request.POST.get("sure"):
        invitation_revoke(
            workspace=principal.workspace, invitation_uuid=invitation_uuid, actor=principal.actor
        )
        messages.success(request, _("The invitation was withdrawn."))
        return redirect("team")
    invitation = _invitation_get(principal, invitation_uuid)
    title = _("Withdraw the invitation of %(email)s?") % {"email": invitation.email}
    return _ask(request, "app/team_invitation_revoke.html", title, invitation=invitation)


@app_page(MEMBERS_WRITE, methods=_ASK)
def team_member(request: HttpRequest, principal: Principal, user_uuid: UUID) -> HttpResponse:
    member = _member_get(principal, user_uuid)
    form = RoleForm(request.POST or None, initial={"role": member.role})
    if form.is_valid():
        with Refusals(form):
            member_change_role(
                workspace=principal.workspace,
                user_uuid=user_uuid,
                role=Role(form.cleaned_data["role"]),
                actor=principal.actor,
            )
            values = {"email": member.user.email, "role": role_name(form.cleaned_data["role"])}
            messages.success(request, _("%(email)s now has the role %(role)s.") % values)
            return redirect("team")
    context = {
        "member": member,
        "role": role_name(member.role),
        "form": form,
        "is_owner": member.role == Role.OWNER,
        "can_transfer": WORKSPACE_OWN in principal.scopes,
        "typed_form": _transfer_form(principal),
    }
    return render(request, "app/team_member.html", context, status=400 if form.is_bound else 200)


@app_page(MEMBERS_WRITE, methods=_ASK)
def team_remove(request: HttpRequest, principal: Principal, user_uuid: UUID) -> HttpResponse:
    member = _member_get(principal, user_uuid)
    if request.POST.get("sure"):
        member_remove(workspace=principal.workspace, user_uuid=user_uuid, actor=principal.actor)
        done = _("%(email)s is no longer a member.") % {"email": member.user.email}
        messages.success(request, done)
        return redirect("app-home" if member.user == principal.user else "team")
    title = _("Remove %(email)s?") % {"email": member.user.email}
    return _ask(request, "app/team_remove.html", title, member=member)


@app_page(WORKSPACE_OWN, methods=_ASK)
def team_transfer(request: HttpRequest, principal: Principal, user_uuid: UUID) -> HttpResponse:
    member = _member_get(principal, user_uuid)
    form = _transfer_form(principal, request.POST if request.method == "POST" else None)
    if form.is_valid():
        ownership_transfer(
            workspace=principal.workspace, user_uuid=user_uuid, actor=principal.actor
        )
        messages.success(request, _("%(email)s owns it now.") % {"email": member.user.email})
        return redirect("team")
    title = _("Hand the workspace over to %(email)s?") % {"email": member.user.email}
    return _ask(request, "app/team_transfer.html", title, member=member, typed_form=form)


@app_page(methods=_ASK)
def team_leave(request: HttpRequest, principal: Principal) -> HttpResponse:
    if request.POST.get("sure"):
        assert principal.user is not None  # noqa: S101 - a page has a person
        workspace_leave(workspace=principal.workspace, user=principal.user, actor=principal.actor)
        done = _("You have left “%(name)s”.") % {"name": principal.workspace.name}
        messages.success(request, done)
        return redirect("app-home")
    title = _("Leave “%(name)s”?") % {"name": principal.workspace.name}
    return _ask(request, "app/team_leave.html", title)


def _member_get(principal: Principal, user_uuid: UUID) -> Membership:
    member = members_list(workspace=principal.workspace).filter(user__uuid=user_uuid).first()
    if member is None:
        raise NotFound(_("There is no such member."))
    return member


def _invitation_get(principal: Principal, invitation_uuid: UUID) -> Invitation:
    found = invitations_list(workspace=principal.workspace).filter(uuid=invitation_uuid).first()
    if found is None:
        raise NotFound(_("There is no such invitation."))
    return found


def _transfer_form(principal: Principal, data: Any = None) -> TypedNameForm:
    problem = _("This is not the name of the workspace.")
    return TypedNameForm(
        data, name=principal.workspace.name, problem=problem, auto_id="transfer_%s"
    )


def _ask(request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
    context = {"ask": template, "title": title, **context}
    return render(request, "app/ask.html", context, status=400 if request.POST else 200)
