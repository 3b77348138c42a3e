from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts import invitations
from accounts.models import User
from accounts.receivers import actor_of
from accounts.selectors import memberships_list
from accounts.workspaces import workspace_default_for
from billing.models import Pack
from billing.pricing import credits_text
from billing.selectors import wallet_get
from config.errors import AppError


@require_safe
@never_cache
@login_required
def account_home(request: HttpRequest) -> HttpResponse:
    user = _person(request)
    # A person who left all of theirs has one again.
    workspace_default_for(user=user, actor=actor_of(request, user))
    rows = [
        {
            "membership": membership,
            "credits": credits_text(wallet_get(workspace=membership.workspace).available_mcr),
        }
        for membership in memberships_list(user=user).order_by("pk")
    ]
    packs = [
        {
            "name": pack.name,
            "credits": credits_text(pack.credits_mcr),
            "price": _price_text(pack),
        }
        for pack in Pack.objects.filter(is_active=True).order_by("position", "pk")
    ]
    context = {"rows": rows, "packs": packs, "can_buy": bool(settings.STRIPE_SECRET_KEY)}
    return render(request, "account_home.html", context)


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
            messages.success(request, f"You have joined “{membership.workspace.name}”.")
            return redirect("account-home")
        invitation = invitations.invitation_get(token=token)
    except AppError as error:
        return render(request, "invitation_refused.html", {"error": error}, status=error.status)
    return render(request, "invitation.html", {"invitation": invitation})


def _price_text(pack: Pack) -> str:
    units, cents = divmod(pack.price_cents, 100)
    return f"{units:,}.{cents:02} {pack.currency.upper()}"


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - see @login_required
    return request.user
