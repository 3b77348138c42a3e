"""Sending what the outbox holds: signed, a few at a time for each receiver, again until it arrives.

A message is claimed under a lease and counted before it is sent, so that a worker that is killed
leaves it to the next: it may arrive twice, under the same `webhook-id`, but it is never forgotten.
Only the thread that claims and records speaks to the database; those that wait for receivers do
not.
"""

import json
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import structlog
from django.db import DatabaseError, connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from accounts.secrets import SecretUnreadable, secret_decrypt
from config.errors import AddressRefused, NotFound
from jobs.instance import is_stop_requested
from jobs.message_styles import NATIVE, MessageStyle, style_find
from jobs.models import MessageState, WebhookAttempt, WebhookMessage
from jobs.outbound import OutboundFailed, outbound_post
from jobs.selectors import job_get_for_workspace
from jobs.webhook_health import endpoint_disable_if_hopeless, endpoint_note
from jobs.webhook_signing import callback_secret_get, secrets_at

log = structlog.get_logger(__name__)

_JITTER = 0.2
_RANDOM = secrets.SystemRandom()
_RETRY_AFTER_AT_MOST_S = 24 * 3600

_RESPONSE_CHARS = 1000
# Well above what a try may take (TRY_SECONDS_MAX): else a message would be sent again while it is
# being sent.
_LEASE = timedelta(seconds=60)
_AT_ONCE = 32
# One slow receiver, and one workspace with many, leave room for the others.
_OF_A_HOST = 2
_OF_A_WORKSPACE = 8
# After that a task only waits for what it has begun, so that it ends well within the minute that a
# task of its cluster has.
_INTAKE_S = 10.0
_LOOK_EVERY_S = 1.0
# Two workers that choose at the same moment would each give a receiver its full share.
_CLAIM_LOCK = 0x776562686F6F6B

# One index probe for each receiver, however many messages wait for it (a "loose index scan"). What
# is being sent counts towards the shares; workspaces take turns, then whoever waits longest.
_CHOOSE = """
WITH RECURSIVE receiver AS (
  (SELECT workspace_id, host FROM jobs_webhookmessage WHERE state = 'pending'
     ORDER BY workspace_id, host LIMIT 1)
  UNION ALL
  SELECT next.workspace_id, next.host FROM receiver r CROSS JOIN LATERAL (
    SELECT workspace_id, host FROM jobs_webhookmessage
      WHERE state = 'pending' AND (workspace_id, host) > (r.workspace_id, r.host)
      ORDER BY workspace_id, host LIMIT 1
  ) next
), flying AS (
  SELECT workspace_id, host, count(*) AS n FROM jobs_webhookmessage
    WHERE state = 'pending' AND lease_until > statement_timestamp()
    GROUP BY workspace_id, host
), of_host AS (
  SELECT r.workspace_id, due.id, due.next_attempt_at, COALESCE(f.n, 0) + row_number() OVER (
      PARTITION BY r.workspace_id, r.host ORDER BY due.next_attempt_at, due.id
    ) AS place
  FROM receiver r
  LEFT JOIN flying f ON f.workspace_id = r.workspace_id AND f.host = r.host
  CROSS JOIN LATERAL (
    SELECT id, next_attempt_at FROM jobs_webhookmessage m
      WHERE m.workspace_id = r.workspace_id AND m.host = r.host AND state = 'pending'
        AND next_attempt_at <= statement_timestamp()
        AND (lease_until IS NULL OR lease_until <= statement_timestamp())
      ORDER BY next_attempt_at LIMIT %(of_host)s
  ) due
), of_workspace AS (
  SELECT h.id, h.next_attempt_at, COALESCE(f.n, 0) + row_number() OVER (
      PARTITION BY h.workspace_id ORDER BY h.place, h.next_attempt_at, h.id
    ) AS place
  FROM of_host h
  LEFT JOIN (SELECT workspace_id, sum(n) AS n FROM flying GROUP BY workspace_id) f
    ON f.workspace_id = h.workspace_id
  WHERE h.place <= %(of_host)s
)
SELECT id FROM of_workspace WHERE place <= %(of_workspace)s
ORDER BY place, next_attempt_at, id LIMIT %(limit)s
"""


@dataclass(frozen=True)
class Delivery:
    """A claimed message, and all that is needed to send it."""

    message: WebhookMessage
    claimed_at: datetime
    url: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    total_s: float = 0


@dataclass(frozen=True)
class Outcome:
    duration_ms: int = 0
    # None without an answer; then `error_code` says why.
    status_code: int | None = None
    error_code: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    # There is nothing to send, and never will be; the receiver has no part in it.
    is_hopeless: bool = False

    @property
    def is_delivered(self) -> bool:
        return not self.error_code


def messages_deliver() -> bool:
    """Send what is due, for a while; True when there may be more."""
    _give_up_lost()
    until = time.monotonic() + _INTAKE_S
    flying: dict[Future[Outcome], Delivery] = {}
    with ThreadPoolExecutor(_AT_ONCE, "webhook") as pool:
        while True:
            is_open = time.monotonic() < until and not is_stop_requested()
            if is_open:
                try:
                    deliveries = deliveries_claim(limit=_AT_ONCE - len(flying))
                except DatabaseError:
                    # What is under way is still to be written down, on a new connection.
                    log.warning("webhooks_not_claimed", exc_info=True)
                    connection.close()
                    is_open, until, deliveries = False, 0, []
                for delivery in deliveries:
                    flying[pool.submit(_send, delivery)] = delivery
            if not flying:
                return not is_open
            # Others may become due, or be written, while slow receivers are waited for.
            done, _ = wait(flying, _LOOK_EVERY_S if is_open else None, FIRST_COMPLETED)
            for future in done:
                _record_or_leave(flying.pop(future), future.result())


def has_messages_due() -> bool:
    """Whether there is something to send that nobody is sending."""
    pending = WebhookMessage.objects.filter(state=MessageState.PENDING, next_attempt_at__lte=Now())
    return pending.exclude(lease_until__gt=Now()).exists()


def deliveries_claim(*, limit: int) -> list[Delivery]:
    """Lease and count messages that are due; nobody else sends them meanwhile."""
    with transaction.atomic():
        pks = _choose(limit)
        claimed = WebhookMessage.objects.filter(pk__in=pks)
        claimed.update(attempts=F("attempts") + 1, lease_until=Now() + _LEASE)
        messages = list(
            claimed.select_related("workspace__callback_secret", "endpoint", "job")
            .annotate(now=Now())
            .order_by("pk")
        )
    return [delivery for delivery in map(_prepare, messages) if delivery is not None]


def delivery_record(delivery: Delivery, outcome: Outcome) -> None:
    """Log a try, and decide what comes next. A worker that lost its lease decides nothing."""
    message = delivery.message
    with transaction.atomic():
        # The endpoint before the message, as everywhere, so that nobody waits in a circle.
        if message.endpoint is not None and not outcome.is_hopeless:
            endpoint_note(message.endpoint, is_delivered=outcome.is_delivered)
        WebhookAttempt.objects.create(
            message=message,
            number=message.attempts,
            started_at=delivery.claimed_at,
            duration_ms=outcome.duration_ms,
            status_code=outcome.status_code,
            error_code=outcome.error_code[:64],
            response=_readable(outcome.body),
        )
        mine = WebhookMessage.objects.filter(pk=message.pk, attempts=message.attempts)
        if outcome.is_delivered:
            # Also when its endpoint was disabled meanwhile: it did arrive.
            _end(mine, MessageState.DELIVERED)
            return
        pending = mine.filter(state=MessageState.PENDING)
        is_gone = outcome.status_code == 410 or outcome.is_hopeless
        if is_gone or message.attempts >= message.tries_max:
            _end(pending, MessageState.FAILED)
        else:
            pause = timedelta(seconds=_pause_s(message, outcome, delivery.claimed_at))
            pending.update(next_attempt_at=Now() + pause, lease_until=None)
        if message.endpoint is not None and not outcome.is_hopeless:
            endpoint_disable_if_hopeless(message.endpoint, is_gone=outcome.status_code == 410)


def _give_up_lost() -> None:
    """End messages whose last try was lost with its worker: one must not be tried for ever."""
    lost = WebhookMessage.objects.filter(
        state=MessageState.PENDING,
        next_attempt_at__lte=Now(),
        lease_until__lte=Now(),
        attempts__gte=F("tries_max"),
    )
    with transaction.atomic():
        # In no particular order, hence never waiting for a row that somebody else holds.
        pks = list(lost.select_for_update(skip_locked=True).values_list("pk", flat=True))
        _end(WebhookMessage.objects.filter(pk__in=pks), MessageState.FAILED)


def _choose(limit: int) -> list[int]:
    shares = {"of_host": _OF_A_HOST, "of_workspace": _OF_A_WORKSPACE, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CLAIM_LOCK])
        cursor.execute(_CHOOSE, shares)
        chosen = [pk for (pk,) in cursor.fetchall()]
    free = WebhookMessage.objects.filter(pk__in=chosen, state=MessageState.PENDING)
    # Whoever holds one of them changes it now; it is looked at next time.
    return list(free.select_for_update(skip_locked=True).values_list("pk", flat=True))


def _prepare(message: WebhookMessage) -> Delivery | None:
    """What to send where; None when there is nobody to send it to any more."""
    endpoint = message.endpoint
    if endpoint is not None and not endpoint.is_enabled:
        # It was written while the endpoint was being disabled.
        _end(WebhookMessage.objects.filter(pk=message.pk), MessageState.FAILED)
        return None
    claimed_at: datetime = message.now  # type: ignore[attr-defined]
    # An endpoint that moved takes its messages with it.
    bare = Delivery(message, claimed_at, endpoint.url if endpoint else message.url)
    try:
        return _filled(bare)
    except SecretUnreadable:
        log.exception("webhook_not_signed", message=str(message.uuid))
        outcome = Outcome(error_code="secret_not_readable")
    except _NothingToSend as error:
        outcome = Outcome(error_code=error.code, is_hopeless=True)
    except Exception:
        # Whatever it is: the others that were claimed with it must go on.
        log.exception("webhook_not_prepared", message=str(message.uuid))
        outcome = Outcome(error_code="internal")
    _record_or_leave(bare, outcome)
    return None


class _NothingToSend(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _filled(bare: Delivery) -> Delivery:
    """With the words and the signature of the message's style. Raises SecretUnreadable."""
    message = bare.message
    style = style_find(message.style)
    if style is None:
        raise _NothingToSend("style_unknown")
    if not message.body:
        _body_write(message, style)
    content = json.dumps(message.body, separators=(",", ":")).encode()
    headers = style.headers(
        message_uuid=message.uuid,
        event=message.event,
        at=bare.claimed_at,
        content=content,
        secrets=_secrets(message, bare.claimed_at),
    )
    headers = {"Content-Type": "application/json", **headers}
    return replace(bare, content=content, headers=headers, total_s=style.schedule.total_s)


def _body_write(message: WebhookMessage, style: MessageStyle) -> None:
    """Put a message together, once: every try sends the same."""
    if message.job is None:
        body = style.test_body(message_uuid=message.uuid)
    else:
        try:
            job = job_get_for_workspace(workspace=message.workspace, job_uuid=message.job.uuid)
        except NotFound:
            raise _NothingToSend("job_deleted") from None
        body = style.body(job, event=message.event, message_uuid=message.uuid)
    # In a transaction of its own: a body that cannot be stored must not spoil one around it.
    with transaction.atomic():
        WebhookMessage.objects.filter(pk=message.pk, body={}).update(body=body)
    # As the database gives it back, now and at later tries.
    message.refresh_from_db(fields=["body"])


def _secrets(message: WebhookMessage, at: datetime) -> list[str]:
    """What the receiver knows, newest first."""
    if message.endpoint is not None:
        return secrets_at(message.endpoint, at)
    if message.style == NATIVE:
        return secrets_at(callback_secret_get(workspace=message.workspace), at)
    # Where an API lets its callers choose one for a job.
    kept = message.job.callback_secret if message.job else ""
    return [secret_decrypt(kept)] if kept else []


def _send(delivery: Delivery) -> Outcome:
    """Runs beside others, without the database."""
    started = time.monotonic()

    def outcome(error_code: str) -> Outcome:
        return Outcome(_ms_since(started), error_code=error_code)

    try:
        answer = outbound_post(
            delivery.url,
            content=delivery.content,
            headers=delivery.headers,
            total_s=delivery.total_s,
        )
    except AddressRefused as error:
        return outcome(error.code)
    except OutboundFailed as error:
        return outcome(error.code)
    except Exception:
        # Whatever it is: the other messages must go on, and this one is tried again.
        log.exception("webhook_not_sent", message=str(delivery.message.uuid))
        return outcome("internal")
    return Outcome(
        _ms_since(started),
        answer.status_code,
        _error_of_status(answer.status_code),
        answer.body,
        answer.headers,
    )


def _ms_since(started: float) -> int:
    return round(1000 * (time.monotonic() - started))


def _error_of_status(status: int) -> str:
    if 200 <= status < 300:
        return ""
    return "redirect_not_followed" if 300 <= status < 400 else "refused"


def _record_or_leave(delivery: Delivery, outcome: Outcome) -> None:
    message = delivery.message
    try:
        try:
            delivery_record(delivery, outcome)
        except DatabaseError:
            # It may have been restarted while we waited for the receiver.
            connection.close()
            delivery_record(delivery, outcome)
    except Exception:
        # It is sent again when its lease is over; what the others answered must be kept.
        log.exception("webhook_not_recorded", message=str(message.uuid))
        return
    log.info(
        "webhook_tried",
        message=str(message.uuid),
        type=message.event,
        workspace=str(message.workspace.uuid),
        job=str(message.job.uuid) if message.job else None,
        request_id=message.job.request_id if message.job else None,
        attempt=message.attempts,
        is_delivered=outcome.is_delivered,
        status_code=outcome.status_code,
        cause=outcome.error_code,
        duration_ms=outcome.duration_ms,
    )


def _end(messages: QuerySet[WebhookMessage], state: MessageState) -> None:
    messages.update(state=state, lease_until=None, finished_at=Now())


def _pause_s(message: WebhookMessage, outcome: Outcome, now: datetime) -> float:
    style = style_find(message.style)
    # A schedule may have become shorter since the message was written.
    pauses_s = (style.schedule.pauses_s if style else ()) or [0]
    pause = pauses_s[min(message.attempts, len(pauses_s)) - 1]
    pause_s = pause * _RANDOM.uniform(1 - _JITTER, 1 + _JITTER)
    if outcome.status_code in {429, 503}:
        # It may ask for more patience, not for less: ten tries could be over in a minute.
        pause_s = max(pause_s, _retry_after_s(outcome.headers.get("retry-after", ""), now))
    return pause_s


def _retry_after_s(text: str, now: datetime) -> float:
    """Seconds, or a date (RFC 9110); nonsense asks for nothing."""
    if text.isascii() and text.isdecimal():
        wanted_s = float(text[:9])
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return 0
        wanted_s = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    return min(wanted_s, _RETRY_AFTER_AT_MOST_S)


def _readable(body: bytes) -> str:
    """The beginning of an answer as text that can be stored and shown."""
    text = body[: 4 * _RESPONSE_CHARS].decode("utf-8", "replace")
    shown = (
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )
    return "".join(shown)[:_RESPONSE_CHARS]
