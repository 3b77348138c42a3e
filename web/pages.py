from collections import Counter
from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import invitations
from accounts.models import Membership, Role, User
from accounts.people import person_time_zone_set
from accounts.principal import Principal
from accounts.receivers import actor_of
from accounts.selectors import memberships_list
from accounts.time_zones import time_zone_names
from accounts.tokens import sign_ins_list
from billing.pricing import credits_text
from billing.selectors import wallet_get
from config.errors import AppError
from web.app.scope_texts import ROLE_TEXTS, role_name
from web.views import app_page

# How it went there.
_CHECKOUTS = ("done", "cancelled")


@app_page()
def account_home(request: HttpRequest, principal: Principal) -> HttpResponse:
    # Of who signed in, also where an operator looks on as somebody else.
    user = _person(request)
    context = {
        "rows": _workspaces(user),
        "invitations": [
            {"invitation": row, "role": role_name(row.role)}
            for row in invitations.invitations_for(user=user)
        ],
        "security": _security(user),
        "time_zones": time_zone_names(),
    }
    return render(request, "account_home.html", context)


@app_page(methods=["POST"])
def account_time_zone(request: HttpRequest, principal: Principal) -> HttpResponse:
    person_time_zone_set(user=_person(request), name=request.POST.get("time_zone", ""))
    messages.success(request, _("Times are shown in this time zone from now on."))
    return redirect("account-home")


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
        return _refused(request, _("Invitation"), error)
    role = Role(invitation.role)
    context = {"invitation": invitation, "role": role_name(role), "role_text": ROLE_TEXTS[role]}
    return render(request, "invitation.html", context)


def _workspaces(user: User) -> list[dict[str, Any]]:
    return [
        {
            "membership": membership,
            "role": role_name(membership.role),
            "credits": credits_text(wallet_get(workspace=membership.workspace).available_mcr),
        }
        for membership in memberships_list(user=user).order_by("pk")
    ]


def _security(user: User) -> dict[str, Any]:
    """What protects the account, at a glance."""
    factors = Counter(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    codes = Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).first()
    return {
        "has_password": user.has_usable_password(),
        "has_app": bool(factors[Authenticator.Type.TOTP]),
        "n_keys": factors[Authenticator.Type.WEBAUTHN],
        "n_codes": len(codes.wrap().get_unused_codes()) if codes else 0,
        "has_codes": codes is not None,
        "has_second": bool(
            factors[Authenticator.Type.TOTP] or factors[Authenticator.Type.WEBAUTHN]
        ),
        "n_sessions": UserSession.objects.filter(user=user).count(),
        "n_sign_ins": sign_ins_list(user=user).count(),
    }


@require_POST
@login_required
def invitation_join(request: HttpRequest, invitation_uuid: UUID) -> HttpResponse:
    user = _person(request)
    try:
        membership = invitations.invitation_accept_own(
            invitation_uuid=invitation_uuid, user=user, actor=actor_of(request, user)
        )
    except AppError as error:
        return _refused(request, _("Invitation"), error)
    return _joined(request, membership)


def _joined(request: HttpRequest, membership: Membership) -> HttpResponse:
    joined = _("You have joined “%(name)s”.") % {"name": membership.workspace.name}
    messages.success(request, joined)
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
