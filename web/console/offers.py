"""Packs and plans, made and changed: a form, what would change and whom it touches, the deed."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.models import AuditEvent
from billing.models import Pack, Plan
from billing.offers import (
    PackTerms,
    PlanTerms,
    ends_top_ups,
    pack_set,
    pack_terms,
    plan_set,
    plan_terms,
    subscribers_of,
    terms_check,
    top_ups_of,
)
from config.errors import AppError, NotFound, ValidationFailed
from web.console.gate import Operator, console_page
from web.console.lookups import reason_of
from web.console.offer_forms import LABELS, OfferForm, PackForm, PlanForm, shown
from web.console.previews import preview_read, preview_sign

_SALT: Final = "console.offer"
_NEW: Final = "new"
_ROWS: Final = 20
# Of what a credit costs: more than this factor is worth a second look.
_MUCH: Final = 1.5


@dataclass(frozen=True)
class Offer:
    """What the address names: a pack or a plan that is there, or one to be made."""

    kind: str
    code: str
    seen: PackTerms | PlanTerms | None

    @property
    def about(self) -> str:
        return f"{self.kind}/{self.code}"

    def form(self, data: Any = None) -> OfferForm:
        kind = PackForm if self.kind == "packs" else PlanForm
        return kind(data, seen=self.seen)


@console_page(methods=["GET", "HEAD", "POST"], fresh=True)
def offer(request: HttpRequest, operator: Operator, kind: str, code: str) -> HttpResponse:
    found = _find(kind, code)
    if request.method != "POST":
        return _form(request, found, found.form())
    if "signed" in request.POST:
        return _set(request, operator, found)
    form = found.form(request.POST)
    if not form.is_valid():
        return _form(request, found, form)
    code = form.cleaned_data.get("code", found.code)
    try:
        terms = _readable(found, form, code)
        reason = reason_of(form.cleaned_data)
    except AppError as error:
        form.add_error(None, error.text)
        return _form(request, found, form)
    context = {
        "offer": found,
        "code": code,
        "terms": terms,
        "reason": reason,
        "changes": _changes(found.seen, terms),
        **_touched(found, terms),
        "signed": preview_sign(
            {
                "code": code,
                "seen": asdict(found.seen) if found.seen else None,
                "terms": asdict(terms),
                "reason": reason,
            },
            operator=operator,
            about=found.about,
            salt=_SALT,
        ),
    }
    return render(request, "console/offer_preview.html", context)


def _set(request: HttpRequest, operator: Operator, found: Offer) -> HttpResponse:
    values = preview_read(request.POST["signed"], operator=operator, about=found.about, salt=_SALT)
    terms, seen = values["terms"], values["seen"]
    done = {"code": values["code"], "reason": values["reason"], "actor": operator.actor}
    if found.kind == "packs":
        pack_set(terms=PackTerms(**terms), seen=PackTerms(**seen) if seen else None, **done)
    else:
        plan_set(terms=PlanTerms(**terms), seen=PlanTerms(**seen) if seen else None, **done)
    messages.success(request, _("“%(name)s” is offered so from now on.") % {"name": terms["name"]})
    return redirect("console-prices")


def _find(kind: str, code: str) -> Offer:
    if code == _NEW:
        return Offer(kind, code, None)
    seen = _seen(kind, code)
    if seen is None:
        raise NotFound(_("There is no such pack or plan."))
    return Offer(kind, code, seen)


def _seen(kind: str, code: str) -> PackTerms | PlanTerms | None:
    if kind == "packs":
        pack = Pack.objects.filter(code=code).first()
        return pack_terms(pack) if pack else None
    plan = Plan.objects.filter(code=code).first()
    return plan_terms(plan) if plan else None


def _readable(found: Offer, form: OfferForm, code: str) -> PackTerms | PlanTerms:
    """The terms of the form, if they can be set."""
    assert isinstance(form, PackForm | PlanForm)  # noqa: S101 - see Offer.form
    terms = form.terms()
    terms_check(terms)
    if terms == found.seen:
        raise ValidationFailed(_("Nothing is changed."))
    if found.seen is None and _seen(found.kind, code):
        raise ValidationFailed(_("There is one of this code already."))
    return terms


def _form(request: HttpRequest, found: Offer, form: OfferForm) -> HttpResponse:
    # Along the index of what is no workspace's, which is little.
    events = AuditEvent.objects.filter(
        workspace_uuid=None, action=f"{found.kind[:-1]}.set", data__code=found.code
    )
    context = {"offer": found, "form": form, "events": events.order_by("-pk")[:_ROWS]}
    status = 422 if form.is_bound else 200
    return render(request, "console/offer.html", context, status=status)


def _changes(seen: PackTerms | PlanTerms | None, terms: PackTerms | PlanTerms) -> list[Any]:
    """Name, before and after, of what changes."""
    lines = []
    for name, label in LABELS.items():
        if name not in terms.__dataclass_fields__:
            continue
        after = getattr(terms, name)
        before = getattr(seen, name) if seen else None
        if seen is None or before != after:
            old = shown(name, before, terms) if seen else "–"
            lines.append({"label": label, "before": old, "after": shown(name, after, terms)})
    return lines


def _touched(found: Offer, terms: PackTerms | PlanTerms) -> dict[str, Any]:
    """Whom it touches, and whether a slip of the hand is likely."""
    seen = found.seen
    if seen is None:
        return {}
    factor = (terms.price_cents / _credits_mcr(terms)) / (seen.price_cents / _credits_mcr(seen))
    percent = round((factor - 1) * 100)
    touched: dict[str, Any] = {
        "percent": percent,
        "less": -percent,
        "is_much": not 1 / _MUCH <= factor <= _MUCH,
    }
    if isinstance(seen, PackTerms) and isinstance(terms, PackTerms):
        if ends_top_ups(seen, terms):
            touched["top_ups"] = top_ups_of(code=found.code).count()
    else:
        touched["subscribers"] = subscribers_of(code=found.code)
    return touched


def _credits_mcr(terms: PackTerms | PlanTerms) -> int:
    return terms.credits_mcr if isinstance(terms, PackTerms) else terms.monthly_mcr
