"""Whether the money adds up: the ledger, and what Stripe has and we might have missed."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.audit import audit_record
from billing.models import PaymentReconciliation, Reconciliation
from billing.payment_reconciling import payment_checks_left
from billing.reconciling import ledger_reconcile
from billing.selectors import wallets_sum
from billing.stripe_client import is_configured
from jobs.queue import wake_payments
from web.console.gate import Operator, console_page
from web.console.health import failed_stripe_events, stuck_payments

_ROWS = 14


@console_page()
def books(request: HttpRequest, operator: Operator) -> HttpResponse:
    held_mcr, available_mcr = wallets_sum()
    context = {
        "checks": Reconciliation.objects.order_by("-pk")[:_ROWS],
        "looks": PaymentReconciliation.objects.order_by("-pk")[:_ROWS],
        "left": payment_checks_left(),
        "held_mcr": held_mcr,
        "available_mcr": available_mcr,
        "payments": stuck_payments()[:_ROWS],
        "stripe_events": failed_stripe_events()[:_ROWS],
        "has_stripe": is_configured(),
    }
    return render(request, "console/books.html", context)


@console_page(methods=["POST"])
def check(request: HttpRequest, operator: Operator) -> HttpResponse:
    if request.POST.get("what") == "payments":
        # Events that wait and top-ups that are due; it goes on in the background.
        wake_payments()
        messages.success(request, _("Payments are looked at now."))
        action = "payments.check"
    else:
        found = ledger_reconcile().discrepancies
        if found:
            messages.error(request, _("The books do not add up."))
        else:
            messages.success(request, _("The books add up."))
        action = "books.check"
    audit_record(actor=operator.actor, action=action, target_kind="books")
    return redirect("console-books")
