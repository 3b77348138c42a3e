"""Where allauth asks us."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from accounts.addresses import address_problem
from accounts.audit import audit_record
from accounts.mail import site_url
from accounts.models import User
from accounts.receivers import actor_of
from accounts.secrets import SecretUnreadable, secret_decrypt, secret_encrypt
from accounts.tokens import sign_ins_revoke

log = structlog.get_logger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def clean_email(self, email: str) -> str:
        if problem := address_problem(email):
            raise ValidationError(str(problem))
        return email

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth's own begins with the Host header: another one would be a count of its own. By
        # address, not by account: a shared count would tell which addresses belong together.
        return str(credentials.get("email", "")).lower()

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        # allauth makes links of the Host header, which anybody can choose for somebody else's mail.
        links = {
            name: site_url(urlsplit(value)._replace(scheme="", netloc="").geturl())
            for name, value in context.items()
            if name.endswith("_url")
        }
        host = urlsplit(settings.SITE_URL).netloc
        site = SimpleNamespace(name=host, domain=host)
        super().send_mail(template_prefix, email, {**context, **links, "current_site": site})

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        # Of what is certain only. Nor must the change look failed because of it.
        def send() -> None:
            try:
                DefaultAccountAdapter.send_notification_mail(self, *args, **kwargs)
            except OSError:
                log.exception("notification_mail_failed")

        transaction.on_commit(send)

    def set_password(self, user: User, password: str) -> None:
        """Change or reset it; whoever knew the old one is out, programs included."""
        request = context.request
        ip = str(self.get_client_ip(request)) if request is not None else None
        user.set_password(password)
        with transaction.atomic():
            # allauth's own would write back the other fields too, such as `is_active`.
            user.save(update_fields=["password"])
            sign_ins_revoke(user=user, ip=ip)


class UserSessionsAdapter(DefaultUserSessionsAdapter):  # type: ignore[misc]
    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        for session in sessions:
            super().end_sessions([session])
            audit_record(
                actor=actor_of(context.request, session.user),
                action="session.ended",
                data={"ip_address": session.ip, "user_agent": session.user_agent},
            )


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Keeps the secrets of second factors encrypted: a copy of the database opens no account."""

    def encrypt(self, text: str) -> str:
        return secret_encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return secret_decrypt(encrypted_text)
        except SecretUnreadable:
            log.exception("second_factor_not_readable")
            raise self.validation_error("incorrect_code") from None
