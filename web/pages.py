from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import invitations
from accounts.models import Membership, Role, User, Workspace
from accounts.rate_limits import rate_count
from accounts.receivers import actor_of
from accounts.scopes import BILLING_WRITE, ROLE_SCOPES
from accounts.selectors import memberships_list
from accounts.workspaces import workspace_default_for
from billing.checkout import checkout_pack
from billing.models import Pack
from billing.pricing import credits_text
from billing.selectors import wallet_get
from billing.shop import packs_list
from billing.stripe_client import is_configured
from config.errors import AppError, NotFound, TooManyRequests, UnknownPack


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
        **_shop(user),
    }
    return render(request, "account_home.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def account_billing(request: HttpRequest) -> HttpResponse:
    user = _person(request)
    if request.method == "POST":
        try:
            workspace = _payable_get(user, request.POST.get("workspace", ""))
            code = _pack_code(request.POST.get("pack", ""))
            _count_checkout(user)
            checkout = checkout_pack(workspace=workspace, code=code)
        except AppError as error:
            return _refused(request, "Credits", error)
        return redirect(checkout.url)
    context = {
        "checkout": request.GET.get("checkout"),
        "rows": _workspaces(user),
        **_shop(user),
    }
    return render(request, "account_billing.html", context)


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


def _count_checkout(user: User) -> None:
    """By the same count as through the API."""
    rate = rate_count(
        subject=f"user:{user.uuid}",
        endpoint="native-billing-checkout",
        limit=settings.RATE_LIMIT_PER_MINUTE,
    )
    if rate.is_exceeded:
        raise TooManyRequests(headers={"Retry-After": str(rate.reset_s)})


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


def _shop(user: User) -> dict[str, Any]:
    packs = [
        {
            "code": pack.code,
            "name": pack.name,
            "credits": credits_text(pack.credits_mcr),
            "price": _price_text(pack),
        }
        for pack in packs_list()
    ]
    return {"packs": packs, "can_buy": is_configured(), "payable": _payable_list(user)}


def _payable_list(user: User) -> list[Workspace]:
    """The workspaces that the person may buy for."""
    return [
        membership.workspace
        for membership in memberships_list(user=user).order_by("pk")
        if BILLING_WRITE in ROLE_SCOPES[Role(membership.role)]
    ]


def _payable_get(user: User, text: str) -> Workspace:
    try:
        uuid = UUID(text)
    except ValueError:
        raise NotFound from None
    for workspace in _payable_list(user):
        if workspace.uuid == uuid:
            return workspace
    raise NotFound


def _pack_code(text: str) -> str:
    # Any text may come; not all can be asked of the database.
    if text not in {pack.code for pack in packs_list()}:
        raise UnknownPack
    return text


def _price_text(pack: Pack) -> str:
    units, cents = divmod(pack.price_cents, 100)
    return f"{units:,}.{cents:02} {pack.currency.upper()}"


def _refused(request: HttpRequest, title: str, error: AppError) -> HttpResponse:
    context = {"title": title, "error": error}
    response = render(request, "refused.html", context, status=error.status)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - see @login_required
    return request.user
