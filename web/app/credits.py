"""Credits: what there is, where it came from and went, and buying more."""

from typing import Any, Final
from uuid import uuid4

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Workspace
from accounts.principal import Principal
from accounts.rate_limits import rate_count
from accounts.scopes import BILLING_READ, BILLING_WRITE, CREDITS_READ
from billing.auto_top_ups import (
    auto_top_up_get,
    auto_top_up_last,
    auto_top_up_put,
    auto_top_ups_cents,
    card_of,
)
from billing.checkout import checkout_pack, checkout_plan, payments_list, portal_url
from billing.credit_alerts import credit_alert_get, credit_alert_put, credits_low_get
from billing.models import PaymentKind, PaymentState
from billing.selectors import debt_get, lots_list, wallet_get
from billing.shop import packs_list, plans_list
from billing.stripe_client import is_configured
from billing.subscriptions import ENDED, subscription_get
from config.errors import (
    AppError,
    PaymentsUnavailable,
    TooManyRequests,
    UnknownPack,
    UnknownPlan,
    ValidationFailed,
)
from web.app.credits_forms import CreditAlertForm, TopUpForm
from web.app.credits_ledger import FILTERS, LedgerLine, ledger_page, lot_name
from web.forms import Refusals
from web.paging import ListPage, uuid_of
from web.views import app_page

# More are added up in a line.
_LOTS_SHOWN: Final = 8
# The page asks so often whether a payment has arrived, every three seconds.
_LOOKS: Final = 60


@app_page(CREDITS_READ)
def credits(request: HttpRequest, principal: Principal) -> HttpResponse:
    return _page(request, principal)


@app_page(BILLING_WRITE, methods=["POST"])
def credits_buy(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """Leads to Stripe's page for a pack or a plan."""
    if not is_configured():
        return _not_set_up(request)
    workspace, once = principal.workspace, uuid_of(request.POST.get("once", ""))
    # Pressed twice, it is one payment.
    key = f"page:{once}" if once else None
    plan = request.POST.get("plan", "")
    if plan:
        # Any text may come; not all can be asked of the database.
        if plan not in {row.code for row in plans_list()}:
            raise UnknownPlan
        _count_checkout(principal)
        return redirect(checkout_plan(workspace=workspace, code=plan, idempotency_key=key).url)
    pack = request.POST.get("pack", "")
    if pack not in {row.code for row in packs_list()}:
        raise UnknownPack
    _count_checkout(principal)
    return redirect(checkout_pack(workspace=workspace, code=pack, idempotency_key=key).url)


@app_page(BILLING_WRITE, methods=["POST"])
def credits_portal(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """Leads to Stripe's page of cards, addresses and the subscription."""
    if not is_configured():
        return _not_set_up(request)
    _count_checkout(principal)
    return redirect(portal_url(workspace=principal.workspace))


@app_page(BILLING_WRITE, methods=["POST"])
def credits_top_up(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    row = auto_top_up_get(workspace=principal.workspace)
    form = TopUpForm(request.POST, row=row)
    if form.is_valid():
        with Refusals(form):
            saved = auto_top_up_put(
                workspace=principal.workspace, actor=principal.actor, wish=form.wish()
            )
            text = _("The automatic top-up is on.") if saved.is_enabled else None
            messages.success(request, text or _("Saved. The automatic top-up is off."))
            return redirect(reverse("credits") + "#top-up")
    return _page(request, principal, form=form, status=400)


@app_page(BILLING_WRITE, methods=["POST"])
def credits_alert(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    form = CreditAlertForm(request.POST, row=credit_alert_get(workspace=principal.workspace))
    if form.is_valid():
        with Refusals(form):
            saved = credit_alert_put(
                workspace=principal.workspace, actor=principal.actor, **form.cleaned_data
            )
            text = _("The mail about low credits is on.") if saved.is_enabled else None
            messages.success(request, text or _("Saved. No mail is sent about low credits."))
            return redirect(reverse("credits") + "#alert")
    return _page(request, principal, alert_form=form, status=400)


@app_page(BILLING_READ)
def credits_card(request: HttpRequest, principal: Principal) -> HttpResponse:
    """A part of the page: whether there is a card to charge, which Stripe knows."""
    card, error = None, None
    try:
        card = card_of(workspace=principal.workspace)
    except AppError as refusal:
        error = refusal
    return render(request, "app/credits_card.html", {"has_card": bool(card), "error": error})


@app_page(BILLING_READ)
def credits_arrival(request: HttpRequest, principal: Principal) -> HttpResponse:
    """A part of the page: whether what was just paid has arrived. Asked until it has."""
    looks = request.GET.get("looks", "")
    context = _arrival(principal.workspace, int(looks) if looks.isdecimal() else 0)
    response = render(request, "app/credits_arrival.html", context)
    payment = context["payment"]
    if payment is not None and payment.state == PaymentState.PAID:
        # The balance is all over the page.
        response["HX-Refresh"] = "true"
    return response


def _page(
    request: HttpRequest,
    principal: Principal,
    *,
    form: TopUpForm | None = None,
    alert_form: CreditAlertForm | None = None,
    status: int = 200,
) -> HttpResponse:
    workspace, kind = principal.workspace, request.GET.get("kind", "")
    error = None
    try:
        page, lines = _ledger(request, principal, kind)
    except ValidationFailed as refusal:
        kind, error, status = "", refusal, 400
        page, lines = _ledger(request, principal, kind)
    context = {
        "error": error,
        "kind": kind,
        "kinds": [(code, title) for code, (title, _kinds) in FILTERS.items()],
        "page": page,
        "lines": lines,
        "wallet": wallet_get(workspace=workspace),
        "low": credits_low_get(workspace=workspace),
        "debt_mcr": debt_get(workspace=workspace),
        **_lots(workspace),
        **_shop(workspace),
    }
    if BILLING_READ in principal.scopes:
        context |= _billing(workspace, form, alert_form)
        checkout = request.GET.get("checkout")
        context["checkout"] = checkout
        if checkout == "done":
            context |= _arrival(workspace, 0)
    return render(request, "app/credits.html", context, status=status)


def _ledger(
    request: HttpRequest, principal: Principal, kind: str
) -> tuple[ListPage, list[LedgerLine]]:
    return ledger_page(
        workspace=principal.workspace,
        kind=kind,
        after=request.GET.get("after", ""),
        scopes=principal.scopes,
    )


def _lots(workspace: Workspace) -> dict[str, Any]:
    lots = list(lots_list(workspace=workspace))
    rest = lots[_LOTS_SHOWN:]
    return {
        "lots": [{"lot": lot, "name": lot_name(lot)} for lot in lots[:_LOTS_SHOWN]],
        "more_lots": len(rest),
        "more_lots_mcr": sum(lot.remaining_mcr for lot in rest),
        "next_lot": next((lot for lot in lots if lot.expires_at), None),
    }


def _shop(workspace: Workspace) -> dict[str, Any]:
    subscription = subscription_get(workspace=workspace)
    return {
        "packs": list(packs_list()),
        "plans": list(plans_list()),
        "subscription": subscription,
        "is_subscribed": subscription is not None and subscription.status not in ENDED,
        "can_buy": is_configured(),
        "once": uuid4(),
    }


def _billing(
    workspace: Workspace, form: TopUpForm | None, alert_form: CreditAlertForm | None
) -> dict[str, Any]:
    row = auto_top_up_get(workspace=workspace)
    alert = credit_alert_get(workspace=workspace)
    return {
        "alert": alert,
        "alert_form": alert_form or CreditAlertForm(row=alert),
        "top_up": row,
        "top_up_form": form or TopUpForm(row=row),
        "top_up_last": auto_top_up_last(workspace=workspace),
        "top_ups_cents": auto_top_ups_cents(workspace=workspace),
    }


def _arrival(workspace: Workspace, looks: int) -> dict[str, Any]:
    rows = payments_list(workspace=workspace).exclude(kind=PaymentKind.TOP_UP)
    return {
        "payment": rows.order_by("-pk").first(),
        "looks": looks + 1,
        "is_looking": looks < _LOOKS,
    }


def _not_set_up(request: HttpRequest) -> HttpResponseBase:
    messages.error(request, PaymentsUnavailable().text)
    return redirect("credits")


def _count_checkout(principal: Principal) -> None:
    """By the same count as through the API."""
    assert principal.user is not None  # noqa: S101 - a page has a person
    rate = rate_count(
        subject=f"user:{principal.user.uuid}",
        endpoint="native-billing-checkout",
        limit=settings.RATE_LIMIT_PER_MINUTE,
    )
    if rate.is_exceeded:
        raise TooManyRequests(headers={"Retry-After": str(rate.reset_s)})
