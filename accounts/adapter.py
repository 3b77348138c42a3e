"""Where allauth asks us."""

from collections.abc import Iterable
from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from accounts.addresses import address_problem
from accounts.audit import audit_record
from accounts.models import User
from accounts.receivers import actor_of
from accounts.tokens import sign_ins_revoke

log = structlog.get_logger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def clean_email(self, email: str) -> str:
        if problem := address_problem(email):
            raise ValidationError(problem)
        return email

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth's own begins with the Host header: another one would be a count of its own. By
        # address, not by account: a shared count would tell which addresses belong together.
        return str(credentials.get("email", "")).lower()

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        # It comes after the change, which must not look failed, nor be left out of the audit trail.
        try:
            super().send_notification_mail(*args, **kwargs)
        except OSError:
            log.exception("notification_mail_failed")

    def set_password(self, user: User, password: str) -> None:
        """Change or reset it; whoever knew the old one is out, programs included."""
        user.set_password(password)
        with transaction.atomic():
            # allauth's own would write back the other fields too, such as `is_active`.
            user.save(update_fields=["password"])
            sign_ins_revoke(user=user)


class UserSessionsAdapter(DefaultUserSessionsAdapter):  # type: ignore[misc]
    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        for session in sessions:
            super().end_sessions([session])
            audit_record(
                actor=actor_of(context.request, session.user),
                action="session.ended",
                data={"ip_address": session.ip, "user_agent": session.user_agent},
            )
