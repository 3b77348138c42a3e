"""Whether an endpoint still answers, and what happens when it does not."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Count
from django.db.models.functions import Coalesce, Now

from accounts.audit import SYSTEM, audit_record
from accounts.mail import webhook_disabled_mail_send
from jobs.models import MessageState, WebhookAttempt, WebhookEndpoint, WebhookMessage
from jobs.outbox import host_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Tally:
    """What became of the messages to an endpoint, as far back as the log goes."""

    delivered: int = 0
    failed: int = 0
    pending: int = 0

    @property
    def success_percent(self) -> float | None:
        """Of those that ended; None while none has. Never rounded up to all."""
        ended = self.delivered + self.failed
        return self.delivered * 1000 // ended / 10 if ended else None


def endpoint_tallies(endpoints: Iterable[WebhookEndpoint]) -> dict[int, Tally]:
    """By primary key; those without any message, too."""
    pks = [endpoint.pk for endpoint in endpoints]
    counted = (
        WebhookMessage.objects.filter(endpoint__in=pks)
        .order_by()
        .values_list("endpoint", "state")
        .annotate(count=Count("pk"))
    )
    found: dict[int, dict[str, int]] = {pk: {} for pk in pks}
    for pk, state, count in counted:
        found[pk][state] = count
    return {pk: Tally(**counts) for pk, counts in found.items()}


def endpoint_note(endpoint: WebhookEndpoint, *, is_delivered: bool) -> None:
    """Remember since when nothing has arrived."""
    row = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    if is_delivered:
        row.exclude(failing_since=None).update(failing_since=None)
    else:
        row.update(failing_since=Coalesce("failing_since", Now()))


def endpoint_disable_if_hopeless(endpoint: WebhookEndpoint, *, is_gone: bool) -> None:
    if is_gone:
        _disable(endpoint, "It answered 410 Gone.")
    elif _has_failed_for_long(endpoint):
        days = settings.WEBHOOK_DISABLE_AFTER_DAYS
        _disable(endpoint, f"Nothing could be delivered for {days} days.")


def messages_give_up(endpoint: WebhookEndpoint) -> None:
    """Nobody is there to receive them. Call it after the endpoint was locked or changed."""
    pending = WebhookMessage.objects.filter(endpoint=endpoint, state=MessageState.PENDING)
    pending.update(state=MessageState.FAILED, lease_until=None, finished_at=Now())


def _has_failed_for_long(endpoint: WebhookEndpoint) -> bool:
    patience = timedelta(days=settings.WEBHOOK_DISABLE_AFTER_DAYS)
    since = (
        WebhookEndpoint.objects.filter(pk=endpoint.pk, failing_since__lte=Now() - patience)
        .values_list("failing_since", flat=True)
        .first()
    )
    if since is None:
        return False
    tries = WebhookAttempt.objects.filter(message__endpoint=endpoint, started_at__gte=since)
    enough = settings.WEBHOOK_DISABLE_AFTER_TRIES
    return len(tries.values_list("pk", flat=True)[:enough]) == enough


def _disable(endpoint: WebhookEndpoint, reason: str) -> None:
    changed = WebhookEndpoint.objects.filter(
        pk=endpoint.pk, is_enabled=True, deleted_at=None
    ).update(is_enabled=False, disabled_reason=reason, disabled_at=Now())
    if not changed:
        return
    messages_give_up(endpoint)
    audit_record(
        actor=SYSTEM,
        action="webhook.disabled",
        workspace=endpoint.workspace,
        target_kind="webhook",
        target_uuid=endpoint.uuid,
        data={"host": host_of(endpoint.url), "reason": reason},
    )
    log.warning("webhook_disabled", endpoint=str(endpoint.uuid), host=host_of(endpoint.url))
    # A mail that cannot be sent is logged; the endpoint says why, too.
    transaction.on_commit(
        lambda: webhook_disabled_mail_send(
            workspace=endpoint.workspace, url=endpoint.url, reason=reason
        ),
        robust=True,
    )
