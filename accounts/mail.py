"""Mail of our own; allauth sends the rest."""

from smtplib import SMTPRecipientsRefused
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.models import Invitation, Role, Workspace

log = structlog.get_logger(__name__)


def site_url(path: str) -> str:
    """Where a path of ours is. Not by the Host header: that is what the caller says."""
    return str(settings.SITE_URL).rstrip("/") + path


def invitation_mail_send(*, invitation: Invitation, token: str) -> None:
    context = {
        "invitation": invitation,
        "days": settings.INVITATION_DAYS,
        "url": site_url(reverse("invitation-accept", args=[token])),
    }
    _send("invitation", context, to=[invitation.email])


def registration_mail_send(*, email: str, code: str) -> None:
    _send("registration", {"code": code}, to=[email])


def registration_needless_mail_send(*, email: str, code: str) -> None:
    """To somebody who has an account, instead of the code. Who asked is not told."""
    context = {"url": site_url(reverse("account_login"))}
    _send("registration_needless", context, to=[email])


def webhook_disabled_mail_send(*, workspace: Workspace, url: str, reason: str) -> None:
    """To those who can do something about it; a workspace without people gets none."""
    members = workspace.memberships.filter(role__in=[Role.OWNER, Role.ADMIN], user__is_active=True)
    context = {
        "workspace": workspace,
        "url": url,
        "reason": reason,
        "docs_url": site_url(reverse("native-docs")),
    }
    # A mail for each: their addresses need not be in each other's mailboxes.
    for email in members.order_by("pk").values_list("user__email", flat=True):
        try:
            _send("webhook_disabled", context, to=[email])
        except SMTPRecipientsRefused:
            # One address that is no more must not keep it from the others.
            log.warning("mail_refused", template="webhook_disabled", exc_info=True)


def notice_mail_send(*, kind: str, email: str, context: dict[str, Any]) -> None:
    """One that somebody is owed; whoever owes it sees to it that it is sent."""
    _send(kind, context, to=[email])


def _send(template: str, context: dict[str, Any], *, to: list[str]) -> None:
    subject = render_to_string(f"mail/{template}_subject.txt", context)
    body = render_to_string(f"mail/{template}.txt", context)
    # A subject is one line, whatever the workspace is called.
    send_mail(" ".join(subject.split()), body, None, to)
