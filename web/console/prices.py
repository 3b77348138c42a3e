"""Plans and prices. A price is changed by one that holds from a moment on; none is edited."""

from datetime import UTC, datetime

from django.contrib import messages
from django.db.models import Count, Q
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.models import Workspace
from billing.limits import HOLDING
from billing.models import Pack, Plan, Price, PriceUnit
from billing.price_changes import price_set
from billing.pricing import credits_parse
from billing.selectors import prices_list
from config.errors import AppError, ValidationFailed
from web.console.gate import Operator, console_page
from web.console.lookups import reason_of, workspace_get
from web.paging import uuid_of


@console_page()
def prices(request: HttpRequest, operator: Operator) -> HttpResponse:
    workspace = _workspace(request.GET.get("workspace", ""))
    rows = Price.objects.select_related("workspace")
    if workspace:
        rows = rows.filter(Q(workspace=None) | Q(workspace=workspace))
    context = {
        "workspace": workspace,
        "current": prices_list(workspace=workspace),
        "coming": rows.filter(effective_from__gt=Now()).order_by("effective_from"),
        "own": Price.objects.exclude(workspace=None)
        .select_related("workspace")
        .order_by("service", "-effective_from")[:100],
        "plans": Plan.objects.annotate(
            subscribers=Count("subscription", filter=Q(subscription__status__in=HOLDING))
        ).order_by("position", "pk"),
        "packs": Pack.objects.order_by("position", "pk"),
    }
    return render(request, "console/prices.html", context)


@console_page(methods=["GET", "HEAD", "POST"], fresh=True)
def price_new(request: HttpRequest, operator: Operator) -> HttpResponse:
    values = request.POST.dict() if request.method == "POST" else request.GET.dict()
    workspace = _workspace(values.get("workspace", ""))
    current = {row.service: row for row in prices_list(workspace=workspace)}
    row = current.get(values.get("service", ""))
    if row is None:
        raise ValidationFailed(_("There is no such price."))
    context = {
        "workspace": workspace,
        "row": row,
        "units": PriceUnit.choices,
        "values": values,
    }
    if request.method != "POST":
        return render(request, "console/price_new.html", context)
    try:
        new = _read(values)
        if "confirmed" not in values:
            return render(request, "console/price_confirm.html", {**context, "new": new})
        price_set(
            service=row.service,
            unit=str(new["unit"]),
            amount_mcr=int(str(new["amount_mcr"])),
            quantity=int(str(new["quantity"])),
            workspace=workspace,
            effective_from=_moment(values.get("from", "")),
            reason=reason_of(values),
            actor=operator.actor,
        )
    except (AppError, ValueError) as error:
        text = error.text if isinstance(error, AppError) else str(error)
        return render(request, "console/price_new.html", {**context, "problem": text}, status=422)
    messages.success(request, _("The new price is in the list."))
    return redirect("console-prices")


def _read(values: dict[str, str]) -> dict[str, object]:
    quantity = values.get("quantity", "").strip()
    if not quantity.isdecimal() or not 0 < int(quantity) < 10**9:
        raise ValidationFailed(_("A price is for a whole number of units."))
    return {
        "unit": values.get("unit", ""),
        "unit_label": dict(PriceUnit.choices).get(values.get("unit", ""), ""),
        "amount_mcr": credits_parse(values.get("amount", "").strip()),
        "quantity": int(quantity),
        "effective_from": _moment(values.get("from", "")),
        "reason": reason_of(values),
    }


def _moment(text: str) -> datetime | None:
    """Of a field of date and time, in UTC; nothing is now."""
    if not text.strip():
        return None
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=UTC)
    except ValueError:
        raise ValidationFailed(_("Give the moment as date and time, in UTC.")) from None


def _workspace(text: str) -> Workspace | None:
    uuid = uuid_of(text)
    return workspace_get(uuid) if uuid else None
