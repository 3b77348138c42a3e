from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import invitations
from accounts.models import Membership, User
from accounts.receivers import actor_of
from accounts.selectors import memberships_list
from accounts.workspaces import workspace_default_for
from billing.pricing import credits_text
from billing.selectors import wallet_get
from config.errors import AppError

# How it went there.
_CHECKOUTS = ("done", "cancelled")


@require_safe
@never_cache
@login_required
def account_home(request: HttpRequest) -> HttpResponse:
    user = _person(request)
    # A person who left all of theirs has one again.
    workspace_default_for(user=user, actor=actor_of(request, user))
    context = {
        "rows": _workspaces(user),
        "invitations": invitations.invitations_for(user=user),
    }
    return render(request, "account_home.html", context)


@require_safe
@never_cache
def account_billing(request: HttpRequest) -> HttpResponse:
    """Where Stripe sends people back to."""
    what = request.GET.get("checkout")
    return redirect(reverse("credits") + (f"?checkout={what}" if what in _CHECKOUTS else ""))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def invitation_accept(request: HttpRequest, token: str) -> HttpResponse:
    user = _person(request)
    try:
        if request.method == "POST":
            membership = invitations.invitation_accept(
                token=token, user=user, actor=actor_of(request, user)
            )
            return _joined(request, membership)
        invitation = invitations.invitation_get(token=token)
    except AppError as error:
        return _refused(request, "Invitation", error)
    return render(request, "invitation.html", {"invitation": invitation})


def _workspaces(user: User) -> list[dict[str, Any]]:
    return [
        {
            "membership": membership,
            "credits": credits_text(wallet_get(workspace=membership.workspace).available_mcr),
        }
        for membership in memberships_list(user=user).order_by("pk")
    ]


@require_POST
@login_required
def invitation_join(request: HttpRequest, invitation_uuid: UUID) -> HttpResponse:
    user = _person(request)
    try:
        membership = invitations.invitation_accept_own(
            invitation_uuid=invitation_uuid, user=user, actor=actor_of(request, user)
        )
    except AppError as error:
        return _refused(request, "Invitation", error)
    return _joined(request, membership)


def _joined(request: HttpRequest, membership: Membership) -> HttpResponse:
    messages.success(request, f"You have joined “{membership.workspace.name}”.")
    return redirect("account-home")


def _refused(request: HttpRequest, title: str, error: AppError) -> HttpResponse:
    context = {"title": title, "error": error}
    response = render(request, "refused.html", context, status=error.status)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - see @login_required
    return request.user
