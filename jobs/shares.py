"""Links to what a job made, for people without an account.

Whoever has the link has what it opens, as with a key: only a hash of it is kept, and it ends when
it is revoked, when its time is over, and with the job.
"""

import hashlib
import secrets
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor, audit_record
from accounts.models import User, Workspace
from accounts.rate_limits import address_subject, rate_count
from config.errors import (
    LimitReached,
    NotFound,
    TooManyAttempts,
    ValidationFailed,
    WrongState,
    filled,
)
from jobs.models import Job, JobState, Share
from jobs.selectors import job_get_for_workspace

DAYS_AT_MOST: Final = 365
PASSWORD_CHARS_AT_MOST: Final = 200
# Of those that still open something.
_OF_A_JOB: Final = 20
_TOKEN_BYTES: Final = 24
_TOKEN_END_CHARS: Final = 4
# Wrong passwords, of one address and of all: the second keeps many addresses from guessing.
_TRIES: Final = 10
_TRIES_OF_ALL: Final = 200
_TRIES_WINDOW_S: Final = 600


class ShareState(StrEnum):
    OPEN = "open"
    EXPIRED = "expired"
    REVOKED = "revoked"
    # The job was deleted.
    GONE = "gone"


@transaction.atomic
def share_create(
    *,
    workspace: Workspace,
    job_uuid: UUID,
    actor: Actor,
    created_by: User | None = None,
    days: int | None = None,
    password: str = "",
    may_download: bool = False,
) -> tuple[Share, str]:
    """Make a link. Its secret is returned here and can never be had again.

    Without `days` it opens as long as the files are kept.
    """
    if days is not None and not 1 <= days <= DAYS_AT_MOST:
        raise ValidationFailed(
            fields={"days": [filled(_("From 1 to %(most)s days."), most=DAYS_AT_MOST)]}
        )
    if len(password) > PASSWORD_CHARS_AT_MOST:
        text = filled(_("At most %(most)s characters."), most=PASSWORD_CHARS_AT_MOST)
        raise ValidationFailed(fields={"password": [text]})
    job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
    # The lock keeps it from being deleted, and makes those that are made side by side count.
    job = Job.objects.select_for_update().get(pk=job.pk)
    if job.deleted_at is not None:
        raise NotFound(_("There is no such job."))
    if job.state != JobState.SUCCEEDED:
        raise WrongState(_("The job has not succeeded; there is nothing to share."))
    if _open(Share.objects.filter(job=job)).count() >= _OF_A_JOB:
        raise LimitReached(_("This job has many links already; revoke one first."))
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    share = Share.objects.create(
        workspace=workspace,
        job=job,
        created_by=created_by,
        token_sha256=_hash(token),
        token_end=token[-_TOKEN_END_CHARS:],
        password=make_password(password) if password else "",
        may_download=may_download,
        expires_at=None if days is None else Now() + timedelta(days=days),
    )
    share.refresh_from_db()
    _record(actor, "share.created", share)
    return share, token


def share_list(*, job: Job) -> QuerySet[Share]:
    """Those of a job that still open something, newest first."""
    return _open(Share.objects.filter(job=job)).select_related("created_by").order_by("-pk")


@transaction.atomic
def share_revoke(*, workspace: Workspace, share_uuid: UUID, actor: Actor) -> None:
    """End a link at once. Twice is as good as once."""
    share = Share.objects.filter(workspace=workspace, uuid=share_uuid).first()
    if share is None:
        raise NotFound(_("There is no such link."))
    if Share.objects.filter(pk=share.pk, revoked_at=None).update(revoked_at=Now()):
        _record(actor, "share.revoked", share)


def share_get(*, token: str) -> tuple[Share, ShareState]:
    """The link with this secret, and whether it opens what it once did."""
    found = Share.objects.filter(token_sha256=_hash(token)).select_related("workspace", "job")
    share = found.annotate(is_over=Q(expires_at__isnull=False) & Q(expires_at__lte=Now())).first()
    if share is None:
        raise NotFound(_("There is no such link."))
    if share.revoked_at is not None:
        return share, ShareState.REVOKED
    if share.job.deleted_at is not None:
        return share, ShareState.GONE
    return share, ShareState.EXPIRED if share.is_over else ShareState.OPEN


def share_password_is(share: Share, password: str, *, ip_address: str) -> bool:
    """Whether this is the password. Tries are counted before: outside of any transaction."""
    for subject, limit in ((address_subject(ip_address), _TRIES), ("all", _TRIES_OF_ALL)):
        rate = rate_count(
            subject=subject,
            endpoint=f"share-password:{share.uuid}",
            limit=limit,
            window_s=_TRIES_WINDOW_S,
        )
        if rate.is_exceeded:
            raise TooManyAttempts(headers={"Retry-After": str(rate.reset_s)})
    return check_password(password, share.password)


def share_use(share: Share) -> None:
    """Note that somebody opened its page."""
    Share.objects.filter(pk=share.pk).update(uses=F("uses") + 1, last_used_at=Now())


def share_job(share: Share) -> Job:
    """The job that a link opens, with its files."""
    return job_get_for_workspace(workspace=share.workspace, job_uuid=share.job.uuid)


def _open(shares: QuerySet[Share]) -> QuerySet[Share]:
    lasting = Q(expires_at=None) | Q(expires_at__gt=Now())
    return shares.filter(lasting, revoked_at=None, job__deleted_at=None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _record(actor: Actor, action: str, share: Share) -> None:
    audit_record(
        actor=actor,
        action=action,
        workspace=share.workspace,
        target_kind="share",
        target_uuid=share.uuid,
        data={"job": str(share.job.uuid)},
    )
