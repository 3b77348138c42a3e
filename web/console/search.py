"""Finding anything by what a customer may have quoted: an address of ours or of theirs, a name, an
id or its beginning, a key."""

import re
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.keys import PREFIX
from accounts.models import ApiKey, User, Workspace
from billing.models import Payment, StripeCustomer, Subscription, Transaction
from config.errors import NotFound
from jobs.id_ranges import ids_from
from jobs.models import Asset, Ingest, Job, WebhookEndpoint, WebhookMessage
from jobs.shares import share_get
from web.paging import uuid_of

_AT_MOST = 20
# What is of no kind of id is looked for in names and addresses; less would find everything.
_MIN_WORD = 2
_KEY_ID_LENGTH = 8
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Of an id, as pages shorten it; less would find too many.
_UUID_START = re.compile(r"[0-9a-f]{6,8}(?:-[0-9a-f-]{0,27})?", re.IGNORECASE)
_SHARE = re.compile(r"/s/([A-Za-z0-9_-]+)")


@dataclass(frozen=True)
class Found:
    """What was found, by kind."""

    people: list[User]
    workspaces: list[Workspace]
    jobs: list[Job]
    keys: list[ApiKey]
    payments: list[Payment]

    @property
    def is_empty(self) -> bool:
        return not (self.people or self.workspaces or self.jobs or self.keys or self.payments)


def search(text: str) -> Found:
    """What an operator typed or pasted; at most some of each kind."""
    text = text.replace("\x00", "").strip()
    if uuid := uuid_of(text) or _uuid_within(text):
        return _by_uuid(uuid)
    if share := _SHARE.search(text):
        return _by_share(share[1])
    if text.startswith(PREFIX):
        # Of a whole key, nothing but its public part is looked at.
        key_id = text[len(PREFIX) :][:_KEY_ID_LENGTH].rstrip("…. ")
        rows = ApiKey.objects.filter(key_id__startswith=key_id).select_related("workspace")
        return Found([], [], [], _some(rows), [])
    if len(text) < _MIN_WORD:
        return Found([], [], [], [], [])
    started = _by_start(text) if _UUID_START.fullmatch(text) else Found([], [], [], [], [])
    people = User.objects.filter(email__icontains=text).prefetch_related("memberships__workspace")
    payments = _payments(
        Q(checkout_session_id=text) | Q(invoice_id=text) | Q(payment_intent_id=text)
    )
    workspaces = _some(
        Workspace.objects.filter(
            Q(name__icontains=text)
            | Q(pk__in=StripeCustomer.objects.filter(stripe_id=text).values("workspace"))
            | Q(pk__in=Subscription.objects.filter(stripe_id=text).values("workspace"))
        )
    )
    by_request = _some(_jobs(Q(request_id=text))) if _may_be_request_id(text) else []
    return Found(
        people=_some(people),
        workspaces=_once(started.workspaces + workspaces),
        jobs=_once(started.jobs + by_request),
        keys=started.keys,
        payments=_once(started.payments + payments),
    )


def _uuid_within(text: str) -> UUID | None:
    """Of an address of a page or of the API: the last id is what it is about."""
    found = _UUID.findall(text) if "/" in text else []
    return UUID(found[-1]) if found else None


def _by_share(token: str) -> Found:
    """What a link opens; who has the link can listen anyway."""
    try:
        share, _ = share_get(token=token)
    except NotFound:
        return Found([], [], [], [], [])
    return Found([], [share.workspace], _some(_jobs(Q(pk=share.job_id))), [], [])


def _by_start(text: str) -> Found:
    """What has an id that begins so: a range of it, along its index."""
    span = ids_from(text)
    condition = Q(uuid__range=span) if span else Q(pk=None)
    keys = Q(key_id__startswith=text) | condition
    return Found(
        people=[],
        workspaces=_some(Workspace.objects.filter(condition)),
        jobs=_some(_jobs(condition)),
        keys=_some(ApiKey.objects.filter(keys).select_related("workspace")),
        payments=_payments(condition),
    )


def _once(rows: list[Any]) -> list[Any]:
    return list({row.pk: row for row in rows}.values())[:_AT_MOST]


def _by_uuid(uuid: UUID) -> Found:
    workspaces = _some(
        Workspace.objects.filter(
            Q(uuid=uuid)
            | Q(pk__in=Transaction.objects.filter(uuid=uuid).values("workspace"))
            | Q(pk__in=WebhookEndpoint.objects.filter(uuid=uuid).values("workspace"))
            | Q(pk__in=WebhookMessage.objects.filter(uuid=uuid).values("workspace"))
            | Q(pk__in=Ingest.objects.filter(uuid=uuid).values("workspace"))
        )
    )
    assets = Asset.objects.filter(uuid=uuid)
    of_asset = Q(asset__in=assets) | Q(pk__in=assets.exclude(job=None).values("job"))
    found = Found(
        people=_some(User.objects.filter(uuid=uuid).prefetch_related("memberships__workspace")),
        workspaces=workspaces,
        jobs=_some(_jobs(Q(uuid=uuid) | of_asset)),
        keys=_some(ApiKey.objects.filter(uuid=uuid).select_related("workspace")),
        payments=_payments(Q(uuid=uuid)),
    )
    # Last: the column has no index.
    return replace(found, jobs=_some(_jobs(Q(request_id=str(uuid))))) if found.is_empty else found


def _may_be_request_id(text: str) -> bool:
    # The column has no index; a word of a name is not worth a look at all jobs.
    return len(text) > 24 and " " not in text and "@" not in text


def _jobs(condition: Q) -> QuerySet[Job]:
    return Job.objects.filter(condition).select_related("workspace", "asset")


def _payments(condition: Q) -> list[Payment]:
    return _some(Payment.objects.filter(condition).select_related("workspace", "pack", "plan"))


def _some(rows: QuerySet[Any]) -> list[Any]:
    return list(rows.order_by("-pk")[:_AT_MOST])
