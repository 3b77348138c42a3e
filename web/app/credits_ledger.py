"""Lines of the ledger in words, for people."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import F, QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Workspace
from billing.models import Entry, Lot, Payment, PaymentKind, TransactionKind
from billing.selectors import ledger_list
from config.errors import ValidationFailed
from jobs.selectors import job_list
from web.paging import ListPage, page_newest_first
from web.service_names import service_name

# What a reader may ask for, by the word in the address.
FILTERS: Final[Mapping[str, tuple[str | Promise, tuple[TransactionKind, ...]]]] = {
    "bought": (gettext_lazy("Bought and granted"), (TransactionKind.GRANT,)),
    "jobs": (gettext_lazy("Jobs"), (TransactionKind.CAPTURE, TransactionKind.REFUND)),
    "expired": (gettext_lazy("Expired"), (TransactionKind.EXPIRE,)),
    "taken": (
        gettext_lazy("Taken back and corrected"),
        (TransactionKind.CLAWBACK, TransactionKind.REPAY, TransactionKind.ADJUST),
    ),
}
_ICONS: Final = {
    TransactionKind.GRANT: "plus",
    TransactionKind.CAPTURE: "audio-lines",
    TransactionKind.EXPIRE: "clock",
    TransactionKind.REFUND: "undo-2",
    TransactionKind.CLAWBACK: "undo-2",
    TransactionKind.REPAY: "receipt",
    TransactionKind.ADJUST: "pencil",
}


@dataclass(frozen=True)
class LedgerLine:
    entry: Entry
    text: str
    # What somebody said of it, or the recording's name.
    note: str
    # Where more is to be seen of it, for who may.
    url: str
    icon: str


def ledger_page(
    *, workspace: Workspace, kind: str, after: str, scopes: Iterable[str]
) -> tuple[ListPage, list[LedgerLine]]:
    entries = ledger_list(workspace=workspace)
    if kind:
        if kind not in FILTERS:
            raise ValidationFailed(_("The ledger has no such filter."))
        entries = entries.filter(transaction__kind__in=FILTERS[kind][1])
    page = page_newest_first(_with_causes(entries), after, size=25)
    return page, ledger_lines(page.rows, workspace=workspace, scopes=scopes)


def ledger_lines(
    entries: Sequence[Entry], *, workspace: Workspace, scopes: Iterable[str]
) -> list[LedgerLine]:
    """For the template `app/_ledger_lines.html`. Best of entries that `ledger_page` has found.

    Names of recordings are for those who may see jobs.
    """
    allowed = frozenset(scopes)
    jobs = _jobs(entries, workspace)
    return [_line(entry, jobs, allowed) for entry in entries]


def lot_name(lot: Lot) -> str:
    """What credits came with."""
    return _grant_text(lot.source, getattr(lot.transaction, "payment", None))


def _with_causes(entries: QuerySet[Entry]) -> QuerySet[Any]:
    # The id that is shown of an entry is that of its transaction.
    return entries.select_related(
        "transaction__lot", "transaction__payment__pack", "transaction__payment__plan"
    ).annotate(uuid=F("transaction__uuid"))


def _jobs(entries: Sequence[Entry], workspace: Workspace) -> dict[UUID, dict[str, Any]]:
    uuids = {uuid for entry in entries if (uuid := entry.transaction.job_uuid)}
    rows = (
        job_list(workspace=workspace)
        .filter(uuid__in=uuids)
        .prefetch_related(None)
        .values("uuid", "service", "name", "asset__filename")
    )
    return {row["uuid"]: dict(row) for row in rows}


def _line(entry: Entry, jobs: Mapping[UUID, dict[str, Any]], allowed: frozenset[str]) -> LedgerLine:
    fact = entry.transaction
    kind = TransactionKind(fact.kind)
    job = jobs.get(fact.job_uuid) if fact.job_uuid else None
    payment: Payment | None = getattr(fact, "payment", None)
    # Written by the service itself, for itself.
    note = "" if fact.reason.startswith("Payment ") else fact.reason
    url = ""
    if job is not None and "jobs:read" in allowed:
        note = note or job["name"] or job["asset__filename"] or ""
        url = _address("job", job["uuid"])
    elif payment is not None and "billing:read" in allowed:
        url = f"{_address('invoices')}#payment-{payment.uuid}"
    return LedgerLine(entry, _text(entry, kind, job, payment), note, url, _ICONS[kind])


def _text(
    entry: Entry, kind: TransactionKind, job: dict[str, Any] | None, payment: Payment | None
) -> str:
    if kind == TransactionKind.GRANT:
        lot: Lot | None = getattr(entry.transaction, "lot", None)
        return _grant_text(lot.source if lot else "", payment)
    if kind == TransactionKind.CAPTURE:
        return service_name(job["service"]) if job else _("A job that was deleted since")
    if kind == TransactionKind.REFUND:
        return _("The charge of a job, given back")
    if kind == TransactionKind.EXPIRE:
        return _("Credits that expired")
    if kind == TransactionKind.CLAWBACK:
        if entry.amount_mcr > 0:
            return _("Given back: a payment is good again")
        return _("Taken back: a payment was returned or disputed")
    if kind == TransactionKind.REPAY:
        return _("Towards what was owed")
    return _("Taken by the operator")


def _grant_text(source: str, payment: Payment | None) -> str:
    name = str((payment.pack or payment.plan) if payment else "")
    if source == PaymentKind.PACK:
        return _("Pack “%(name)s”") % {"name": name}
    if source == PaymentKind.PLAN:
        return _("A month of the plan “%(name)s”") % {"name": name}
    if source == PaymentKind.TOP_UP:
        return _("Automatic top-up: “%(name)s”") % {"name": name}
    known = {
        "welcome": _("Welcome"),
        "operator": _("Granted by the operator"),
        "refund": _("The charge of a job, given back"),
        "reinstated": _("Given back: a payment is good again"),
    }
    return known.get(source) or _("Granted")


def _address(name: str, *ids: object) -> str:
    try:
        return reverse(name, args=ids)
    except NoReverseMatch:
        # The pages of another application may be left out.
        return ""
