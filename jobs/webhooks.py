"""What callers can do with webhooks: endpoints, what was sent to them, and the callback secret."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict, Unpack
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor, audit_record
from accounts.models import Workspace
from accounts.scopes import WEBHOOKS_WRITE
from accounts.secrets import SecretUnreadable, secret_decrypt
from accounts.workspaces import rights_require, workspace_lock
from config.errors import (
    AddressRefused,
    LimitReached,
    NotFound,
    ValidationFailed,
    WrongState,
    filled,
)
from jobs.message_styles import NATIVE, style_get
from jobs.models import (
    CallbackSecret,
    MessageState,
    WebhookAttempt,
    WebhookEndpoint,
    WebhookMessage,
)
from jobs.outbound import outbound_check
from jobs.outbox import host_of, probe_write
from jobs.queue import wake_webhooks
from jobs.webhook_health import messages_give_up
from jobs.webhook_signing import callback_secret_get, rolled, signing_secret_make

ENDPOINTS_MAX: Final = 20
OVERLAP_AT_MOST: Final = timedelta(days=7)


class EndpointChanges(TypedDict, total=False):
    url: str
    description: str
    events: Sequence[str]
    is_enabled: bool


def callback_url_check(url: str) -> None:
    """Refuse an address that messages could or should never go to."""
    outbound_check(url)
    if settings.PRODUCTION and not url.lower().startswith("https://"):
        raise AddressRefused(_("Messages are sent to https:// addresses only."))


def endpoint_list(*, workspace: Workspace, style: str = NATIVE) -> QuerySet[WebhookEndpoint]:
    """Those that are told in the words of one API: each has its own."""
    return (
        WebhookEndpoint.objects.annotate(now=Now())
        .filter(workspace=workspace)
        .filter(style=style)
        .filter(deleted_at=None)
        .order_by("-pk")
    )


def endpoint_get_for_workspace(
    *, workspace: Workspace, endpoint_uuid: UUID, style: str = NATIVE
) -> WebhookEndpoint:
    endpoint = endpoint_list(workspace=workspace, style=style).filter(uuid=endpoint_uuid).first()
    if endpoint is None:
        raise NotFound(_("There is no such webhook."))
    return endpoint


def endpoint_create(
    *,
    workspace: Workspace,
    actor: Actor,
    url: str,
    description: str = "",
    events: Sequence[str] = (),
    style: str = NATIVE,
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret, which nobody can ask for again.

    `events` are types of its style; none: all.
    """
    callback_url_check(url)
    events = _known_events(events, style)
    text, kept = signing_secret_make()
    with transaction.atomic():
        _lock(workspace, actor)
        if endpoint_list(workspace=workspace, style=style).count() >= ENDPOINTS_MAX:
            raise LimitReached(
                filled(_("A workspace has at most %(most)s webhooks."), most=ENDPOINTS_MAX)
            )
        row = WebhookEndpoint.objects.create(
            workspace=workspace,
            url=url,
            description=description,
            events=events,
            style=style,
            secret=kept,
        )
        _record("webhook.created", row, actor=actor, data=_audited({"url": url, "events": events}))
    return _again(row), text


def endpoint_update(
    *,
    workspace: Workspace,
    endpoint_uuid: UUID,
    actor: Actor,
    style: str = NATIVE,
    **changes: Unpack[EndpointChanges],
) -> WebhookEndpoint:
    """What waits for an endpoint goes where it is now; once disabled, nowhere."""
    if "url" in changes:
        callback_url_check(changes["url"])
    if "events" in changes:
        changes["events"] = _known_events(changes["events"], style)
    with transaction.atomic():
        row = _locked(workspace, endpoint_uuid, style, actor)
        news = {name: value for name, value in changes.items() if getattr(row, name) != value}
        if news:
            before = {name: getattr(row, name) for name in news}
            state: dict[str, Any] = {}
            if "is_enabled" in news:
                at = None if news["is_enabled"] else Now()
                state = {"disabled_reason": "", "disabled_at": at, "failing_since": None}
            WebhookEndpoint.objects.filter(pk=row.pk).update(**news, **state)
            if "url" in changes:
                _pending(row).update(url=changes["url"], host=host_of(changes["url"]))
            if news.get("is_enabled") is False:
                messages_give_up(row)
            data = {"before": _audited(before), "after": _audited(news)}
            _record("webhook.updated", row, actor=actor, data=data)
    return _again(row)


def endpoint_delete(
    *, workspace: Workspace, endpoint_uuid: UUID, actor: Actor, style: str = NATIVE
) -> None:
    """The log of what was sent to it stays until it is old."""
    with transaction.atomic():
        row = _locked(workspace, endpoint_uuid, style, actor)
        WebhookEndpoint.objects.filter(pk=row.pk).update(
            is_enabled=False, deleted_at=Now(), secret="", old_secret="", old_secret_until=None
        )
        messages_give_up(row)
        _record("webhook.deleted", row, actor=actor, data=_audited({"url": row.url}))


def endpoint_roll(
    *,
    workspace: Workspace,
    endpoint_uuid: UUID,
    overlap: timedelta,
    actor: Actor,
    style: str = NATIVE,
) -> tuple[WebhookEndpoint, str]:
    """A new secret. The former one signs beside it for a while; an even older one no more."""
    text, kept = signing_secret_make()
    with transaction.atomic():
        row = _locked(workspace, endpoint_uuid, style, actor)
        WebhookEndpoint.objects.filter(pk=row.pk).update(**rolled(kept, overlap=overlap))
        _record("webhook.rolled", row, actor=actor, data=_overlap(overlap))
    return _again(row), text


def endpoint_test(
    *, workspace: Workspace, endpoint_uuid: UUID, style: str = NATIVE
) -> WebhookMessage:
    """Send `webhook.test` to it, as any other message is sent."""
    with transaction.atomic():
        row = endpoint_get_for_workspace(
            workspace=workspace, endpoint_uuid=endpoint_uuid, style=style
        )
        if not row.is_enabled:
            raise WrongState(_("The webhook is disabled; enable it first."))
        message = probe_write(row)
    return message_get_for_workspace(workspace=workspace, message_uuid=message.uuid)


def callback_secret_show(*, workspace: Workspace) -> str:
    """What verifies messages to addresses that single jobs name."""
    try:
        return secret_decrypt(callback_secret_get(workspace=workspace).secret)
    except SecretUnreadable:
        raise WrongState(_("This secret cannot be read any more; roll it.")) from None


def callback_secret_roll(*, workspace: Workspace, overlap: timedelta, actor: Actor) -> str:
    text, kept = signing_secret_make()
    with transaction.atomic():
        _lock(workspace, actor)
        row = callback_secret_get(workspace=workspace)
        CallbackSecret.objects.filter(pk=row.pk).update(**rolled(kept, overlap=overlap))
        audit_record(
            actor=actor,
            action="callback_secret.rolled",
            workspace=workspace,
            target_kind="workspace",
            target_uuid=workspace.uuid,
            data=_overlap(overlap),
        )
    return text


def message_list(
    *,
    workspace: Workspace,
    endpoint: WebhookEndpoint | None = None,
    state: str | None = None,
    job_uuid: UUID | None = None,
    style: str | None = None,
) -> QuerySet[WebhookMessage]:
    """What was or is to be sent, newest first; in the words of every API or of one."""
    given = {"endpoint": endpoint, "state": state, "job__uuid": job_uuid, "style": style}
    conditions = {name: value for name, value in given.items() if value is not None}
    return (
        WebhookMessage.objects.filter(workspace=workspace)
        .filter(**conditions)
        .select_related("endpoint", "job")
        .order_by("-pk")
    )


def message_get_for_workspace(
    *, workspace: Workspace, message_uuid: UUID, style: str | None = None
) -> WebhookMessage:
    """With the log of its tries."""
    log = Prefetch("log", queryset=WebhookAttempt.objects.order_by("number"), to_attr="tries")
    messages = message_list(workspace=workspace, style=style).prefetch_related(log)
    message = messages.filter(uuid=message_uuid).first()
    if message is None:
        raise NotFound(_("There is no such delivery."))
    return message


def message_resend(
    *, workspace: Workspace, message_uuid: UUID, style: str | None = None
) -> WebhookMessage:
    """One more try, and what the schedule has left of others if it fails."""
    with transaction.atomic():
        message = message_get_for_workspace(
            workspace=workspace, message_uuid=message_uuid, style=style
        )
        url = message.url
        if message.endpoint is not None:
            # Locked: it must not be disabled between this look and the write.
            endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(
                pk=message.endpoint.pk
            )
            if not endpoint.is_enabled:
                raise WrongState(_("The webhook is disabled or deleted; nobody would receive it."))
            url = endpoint.url
        # Also one that waits for its next try, which may be a day away; not one that is on its way.
        idle = WebhookMessage.objects.filter(pk=message.pk, lease_until=None)
        resent = idle.update(
            state=MessageState.PENDING,
            url=url,
            host=host_of(url),
            next_attempt_at=Now(),
            finished_at=None,
        )
        if not resent:
            raise WrongState(_("It is being delivered right now."))
        wake_webhooks()
    return message_get_for_workspace(workspace=workspace, message_uuid=message_uuid)


def messages_resend_failed(
    *, workspace: Workspace, endpoint_uuid: UUID, since: datetime, style: str = NATIVE
) -> int:
    """Send once more all that an endpoint should have had since then; returns how many."""
    with transaction.atomic():
        endpoint = endpoint_get_for_workspace(
            workspace=workspace, endpoint_uuid=endpoint_uuid, style=style
        )
        # Locked: as for a single one.
        endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if not endpoint.is_enabled:
            raise WrongState(_("The webhook is disabled; enable it first."))
        resent = WebhookMessage.objects.filter(
            endpoint=endpoint,
            state=MessageState.FAILED,
            created_at__gte=since,
            lease_until=None,
        ).update(
            state=MessageState.PENDING,
            url=endpoint.url,
            host=host_of(endpoint.url),
            next_attempt_at=Now(),
            finished_at=None,
        )
        if resent:
            wake_webhooks()
    return resent


def _known_events(events: Sequence[str], style: str) -> list[str]:
    types = style_get(style).events
    unknown = set(events) - set(types)
    if unknown:
        known = ", ".join(types)
        problems = [
            filled(_("There is no event %(event)s."), event=name) for name in sorted(unknown)
        ]
        offer = filled(_("There are %(events)s."), events=known)
        raise ValidationFailed(fields={"events": [*problems, offer]})
    return sorted(set(events))


def _lock(workspace: Workspace, actor: Actor) -> None:
    locked = workspace_lock(workspace)
    # What a key may do does not change while it works; a person's role may.
    if actor.kind != "key":
        rights_require(workspace=locked, actor=actor, scope=WEBHOOKS_WRITE)


def _again(row: WebhookEndpoint) -> WebhookEndpoint:
    """As it is now."""
    return endpoint_get_for_workspace(
        workspace=row.workspace, endpoint_uuid=row.uuid, style=row.style
    )


def _locked(workspace: Workspace, endpoint_uuid: UUID, style: str, actor: Actor) -> WebhookEndpoint:
    _lock(workspace, actor)
    row = endpoint_get_for_workspace(workspace=workspace, endpoint_uuid=endpoint_uuid, style=style)
    # Before its messages, as whoever records a try does.
    return WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=row.pk)


def _pending(endpoint: WebhookEndpoint) -> QuerySet[WebhookMessage]:
    return WebhookMessage.objects.filter(endpoint=endpoint, state=MessageState.PENDING)


def _audited(values: Mapping[str, Any]) -> dict[str, Any]:
    # The rest of an address is often a secret.
    kept = {name: value for name, value in values.items() if name != "url"}
    return kept | ({"host": host_of(values["url"])} if "url" in values else {})


def _overlap(overlap: timedelta) -> dict[str, int]:
    return {"overlap_s": int(overlap.total_seconds())}


def _record(action: str, row: WebhookEndpoint, *, actor: Actor, data: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=action,
        workspace=row.workspace,
        target_kind="webhook",
        target_uuid=row.uuid,
        data=data,
    )
