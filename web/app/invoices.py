"""Payments, as we know them, and invoices, as Stripe keeps them."""

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from accounts.principal import Principal
from accounts.scopes import BILLING_READ
from billing.checkout import invoices_list, payments_list
from billing.models import Payment, PaymentKind, PaymentState
from billing.stripe_client import is_configured
from billing.stripe_objects import Invoice
from config.errors import AppError
from web.paging import page_newest_first
from web.views import app_page

# What Stripe calls the state of an invoice: our words, and how it looks.
_INVOICE_STATES: Final[dict[str, tuple[str | Promise, str]]] = {
    "paid": (_("paid"), "ok"),
    "open": (_("open"), "warn"),
    "draft": (_("draft"), ""),
    "uncollectible": (_("not collectible"), "error"),
    "void": (_("void"), ""),
}
_KINDS: Final = {
    PaymentKind.PACK: _("Pack “%(name)s”"),
    PaymentKind.PLAN: _("A month of the plan “%(name)s”"),
    PaymentKind.TOP_UP: _("Automatic top-up: “%(name)s”"),
}


@dataclass(frozen=True)
class PaymentLine:
    payment: Payment
    text: str
    state: str | Promise
    look: str


@dataclass(frozen=True)
class InvoiceLine:
    invoice: Invoice
    state: str | Promise
    look: str


@app_page(BILLING_READ)
def invoices(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Stripe's part is fetched by the page: that it is slow or away must not keep the rest."""
    return render(request, "app/invoices.html", _payments(request, principal.workspace))


@app_page(BILLING_READ)
def invoices_stripe(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The invoices: a part of the page for htmx, else the whole page with them."""
    context = _invoices(principal.workspace)
    if "HX-Request" in request.headers:
        return render(request, "app/invoices_stripe.html", context)
    context |= _payments(request, principal.workspace)
    return render(request, "app/invoices.html", context)


def _payments(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    rows = payments_list(workspace=workspace)
    page = page_newest_first(rows, request.GET.get("after", ""), size=25)
    return {
        "page": page,
        "payments": [_payment_line(payment) for payment in page.rows],
        "can_buy": is_configured(),
    }


def _payment_line(payment: Payment) -> PaymentLine:
    text = str(_KINDS[PaymentKind(payment.kind)]) % {"name": payment.pack or payment.plan}
    state, look = _payment_state(payment)
    return PaymentLine(payment, text, state, look)


def _payment_state(payment: Payment) -> tuple[str | Promise, str]:
    if payment.returned_cents == payment.amount_cents:
        return _("returned"), "error"
    if payment.returned_cents:
        return _("returned in part"), "warn"
    if payment.state == PaymentState.PAID:
        return _("paid"), "ok"
    if payment.state == PaymentState.FAILED:
        return _("not paid"), ""
    return _("waiting"), "info"


def _invoices(workspace: Workspace) -> dict[str, Any]:
    try:
        found = invoices_list(workspace=workspace)
    except AppError as error:
        return {"is_fetched": True, "error": error, "invoices": []}
    lines = [
        InvoiceLine(invoice, *_INVOICE_STATES.get(invoice.status, (invoice.status, "")))
        for invoice in found
    ]
    return {"is_fetched": True, "invoices": lines}
