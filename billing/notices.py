"""Mails about credits: written down with what they tell, so that none is lost, and sent by workers.

One mail a row: a server of mail that is away is tried again, and one address that is no more keeps
nothing from the others. A kill between the mail and its mark sends that one mail twice.
"""

import time
from datetime import timedelta
from smtplib import SMTPRecipientsRefused
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.urls import reverse

from accounts.mail import notice_mail_send, site_url
from accounts.models import Role, Workspace
from billing.models import Notice, NoticeKind

log = structlog.get_logger(__name__)

# Longer than a mail takes, so that no two are at the same row.
_FIRST_PAUSE: Final = timedelta(minutes=5)
_LONGEST_PAUSE: Final = timedelta(hours=2)
# News of so long ago helps nobody.
_GIVEN_UP_AFTER: Final = timedelta(days=2)
_KEPT: Final = timedelta(days=30)
# A task of the `default` cluster ends in time to leave room for its slowest mail.
_TASK_S: Final = 10.0


def notices_write(*, workspace: Workspace, kind: NoticeKind, data: dict[str, Any]) -> None:
    """Owe it to everybody who looks after the money, in the transaction of what it tells."""
    members = workspace.memberships.filter(
        role__in=[Role.OWNER, Role.BILLING], user__is_active=True
    )
    Notice.objects.bulk_create(
        Notice(workspace=workspace, user_id=user, kind=kind, data=data)
        for user in members.order_by("pk").values_list("user", flat=True)
    )


def has_notices_to_send() -> bool:
    return _due().exists()


def notices_send() -> bool:
    """Send what is owed; whether some is left for another task."""
    until = time.monotonic() + _TASK_S
    while time.monotonic() < until:
        notice = _claim()
        if notice is None:
            return False
        try:
            _send(notice)
        except SMTPRecipientsRefused:
            log.warning("notice_refused", notice=notice.pk, kind=notice.kind)
            _finish(notice)
        except Exception:
            # The next would fail in the same way: it is tried again after its pause.
            log.exception("notice_not_sent", notice=notice.pk, kind=notice.kind)
            return False
        else:
            _finish(notice)
    return _due().exists()


def notices_clean() -> None:
    Notice.objects.filter(finished_at__lt=Now() - _KEPT).delete()
    Notice.objects.filter(finished_at=None, created_at__lt=Now() - _GIVEN_UP_AFTER).update(
        finished_at=Now()
    )


def _due() -> QuerySet[Notice]:
    return Notice.objects.filter(finished_at=None, next_attempt_at__lte=Now())


@transaction.atomic
def _claim() -> Notice | None:
    rows = _due().select_for_update(of=("self",), skip_locked=True)
    notice = rows.select_related("workspace", "user").order_by("next_attempt_at", "pk").first()
    if notice is not None:
        pause = min(_FIRST_PAUSE * 2 ** min(notice.attempts, 10), _LONGEST_PAUSE)
        Notice.objects.filter(pk=notice.pk).update(
            attempts=F("attempts") + 1, next_attempt_at=Now() + pause
        )
    return notice


def _send(notice: Notice) -> None:
    is_member = notice.workspace.memberships.filter(
        user=notice.user, user__is_active=True, role__in=[Role.OWNER, Role.BILLING]
    ).exists()
    if is_member:
        notice_mail_send(
            kind=notice.kind,
            email=notice.user.email,
            context={
                **notice.data,
                "workspace": notice.workspace,
                "url": site_url(reverse("credits")),
            },
        )


def _finish(notice: Notice) -> None:
    Notice.objects.filter(pk=notice.pk).update(finished_at=Now())
