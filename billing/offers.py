"""Packs and plans, as operators change them.

What was sold keeps its terms: they stand on the payment, and a subscription goes on as its first
month was. So a row says what is offered now; what it said before is in the audit log. Only the
limits of a plan hold for everybody who has it. An automatic top-up buys without anybody looking:
one whose pack gets dearer goes off, and who pays is told.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor, audit_record
from billing.auto_top_ups import auto_top_up_disable
from billing.limits import HOLDING
from billing.models import AutoTopUp, Pack, Plan, Subscription
from config.errors import ValidationFailed, WrongState, filled

# Stripe takes no less, in most currencies, and no more.
_CENTS: Final = range(50, 100_000_000)
_MAX_MCR: Final = 10**15
_MAX_DAYS: Final = 36_500
_MAX_JOBS: Final = 100_000
_DEARER: Final = "Its pack costs more now, or brings less; the new terms need your consent."
_NOT_SOLD: Final = "Its pack is not sold any more."


@dataclass(frozen=True)
class PackTerms:
    name: str
    credits_mcr: int
    price_cents: int
    currency: str
    # None: the credits never expire.
    expires_after_days: int | None
    is_active: bool
    position: int


@dataclass(frozen=True)
class PlanTerms:
    name: str
    monthly_mcr: int
    price_cents: int
    currency: str
    # None: any number.
    parallel_jobs: int | None
    # None: as the settings say.
    results_days: int | None
    uploads_days: int | None
    is_active: bool
    position: int


Terms = TypeVar("Terms", PackTerms, PlanTerms)


def pack_terms(pack: Pack) -> PackTerms:
    return PackTerms(**{name: getattr(pack, name) for name in PackTerms.__dataclass_fields__})


def plan_terms(plan: Plan) -> PlanTerms:
    return PlanTerms(**{name: getattr(plan, name) for name in PlanTerms.__dataclass_fields__})


def terms_check(terms: PackTerms | PlanTerms) -> None:
    """Raise unless they can be offered."""
    if isinstance(terms, PackTerms):
        credits_mcr, days = terms.credits_mcr, [terms.expires_after_days]
    else:
        credits_mcr, days = terms.monthly_mcr, [terms.results_days, terms.uploads_days]
        if terms.parallel_jobs is not None and not 0 < terms.parallel_jobs <= _MAX_JOBS:
            text = _("Jobs at a time are from 1 to %(n)s, or any number.")
            raise ValidationFailed(filled(text, n=_MAX_JOBS))
    if not terms.name.strip() or len(terms.name) > 100 or "\x00" in terms.name:
        raise ValidationFailed(_("A name has 1 to 100 characters."))
    if not 0 < credits_mcr <= _MAX_MCR:
        raise ValidationFailed(_("Credits are more than none."))
    if terms.price_cents not in _CENTS:
        text = _("A price is %(low)s to %(high)s of the smallest coin, as Stripe takes it.")
        raise ValidationFailed(filled(text, low=_CENTS[0], high=_CENTS[-1]))
    if any(value is not None and not 0 < value <= _MAX_DAYS for value in days):
        text = _("Days are a whole number between 1 and %(n)s.")
        raise ValidationFailed(filled(text, n=_MAX_DAYS))


@transaction.atomic
def pack_set(
    *, code: str, terms: PackTerms, seen: PackTerms | None, reason: str, actor: Actor
) -> None:
    """Change a pack that is as it was `seen`, or make one where none was."""
    terms_check(terms)
    # Not in full: a top-up that is bought names its pack while it has what is switched off below.
    row = Pack.objects.select_for_update(no_key=True).filter(code=code).first()
    before = pack_terms(row) if row else None
    if not _is_change(before, terms, seen):
        return
    if row is None:
        _create(Pack, code, terms)
    else:
        Pack.objects.filter(pk=row.pk).update(**asdict(terms))
        if before and (why := _top_ups_end(before, terms)):
            for top_up in top_ups_of(code=code).select_related("workspace"):
                auto_top_up_disable(workspace=top_up.workspace, reason=why)
    _record("pack", code, before, terms, reason=reason, actor=actor)


@transaction.atomic
def plan_set(
    *, code: str, terms: PlanTerms, seen: PlanTerms | None, reason: str, actor: Actor
) -> None:
    """As `pack_set`."""
    terms_check(terms)
    row = Plan.objects.select_for_update(no_key=True).filter(code=code).first()
    before = plan_terms(row) if row else None
    if not _is_change(before, terms, seen):
        return
    if row is None:
        _create(Plan, code, terms)
    else:
        Plan.objects.filter(pk=row.pk).update(**asdict(terms))
    _record("plan", code, before, terms, reason=reason, actor=actor)


def ends_top_ups(before: PackTerms, after: PackTerms) -> bool:
    """Whether automatic top-ups that buy it would go off with the change."""
    return bool(_top_ups_end(before, after))


def top_ups_of(*, code: str) -> Any:
    """The automatic top-ups that buy a pack."""
    return AutoTopUp.objects.filter(pack__code=code, is_enabled=True).order_by("pk")


def subscribers_of(*, code: str) -> int:
    return Subscription.objects.filter(plan__code=code, status__in=HOLDING).count()


def _top_ups_end(before: PackTerms, after: PackTerms) -> str:
    if before.is_active and not after.is_active:
        return _NOT_SOLD
    is_dearer = (
        after.price_cents > before.price_cents
        or after.credits_mcr < before.credits_mcr
        or _days(after) < _days(before)
    )
    return _DEARER if is_dearer else ""


def _days(terms: PackTerms) -> float:
    return float("inf") if terms.expires_after_days is None else terms.expires_after_days


def _is_change(before: Terms | None, terms: Terms, seen: Terms | None) -> bool:
    """False where it was made already: the same form, sent twice."""
    if before == terms:
        return False
    if before != seen:
        raise WrongState(_("Somebody else has just changed it; look at it again."))
    if before is not None and before.currency != terms.currency:
        # Ceilings of top-ups and subscriptions at Stripe are in it.
        raise ValidationFailed(_("The currency stays; make another pack or plan."))
    return True


def _create(model: type[Pack | Plan], code: str, terms: PackTerms | PlanTerms) -> None:
    try:
        with transaction.atomic():
            model.objects.create(code=code, **asdict(terms))
    except IntegrityError:
        raise WrongState(_("Somebody else has just made one of this code.")) from None


def _record(
    kind: str,
    code: str,
    before: PackTerms | PlanTerms | None,
    after: PackTerms | PlanTerms,
    *,
    reason: str,
    actor: Actor,
) -> None:
    old: dict[str, Any] = asdict(before) if before else {}
    new = {name: value for name, value in asdict(after).items() if old.get(name) != value}
    audit_record(
        actor=actor,
        action=f"{kind}.set",
        target_kind=kind,
        data={
            "code": code,
            "before": {name: old[name] for name in new if name in old},
            "after": new,
            "reason": reason,
        },
    )
