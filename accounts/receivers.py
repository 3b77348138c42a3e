"""Writes down what people do with their accounts: allauth tells it by signals.

Its pages that change something run in one transaction with these (accounts/urls.py).
"""

from typing import Any

from allauth.account import signals
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.mfa import signals as mfa_signals
from allauth.mfa.models import Authenticator
from django.contrib.auth.signals import user_login_failed
from django.db.models.signals import post_save, pre_delete, pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.addresses import address_release
from accounts.audit import ANONYMOUS, OPERATOR, Actor, audit_record
from accounts.callers import ip_address
from accounts.models import User
from accounts.tokens import sign_ins_revoke


def actor_of(request: HttpRequest, user: User | None) -> Actor:
    address = ip_address(request)
    if user is None:
        return Actor(ANONYMOUS.kind, ANONYMOUS.label, ip_address=address)
    return Actor.of_user(user, ip_address=address)


def login_failure_record(request: HttpRequest | None, *, email: str, reason: str) -> None:
    actor = actor_of(request, None) if request is not None else ANONYMOUS
    data = {"email": email[:254], "reason": reason}
    audit_record(actor=actor, action="user.login_failed", data=data)


@receiver(signals.user_logged_in)
def on_logged_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    audit_record(actor=actor_of(request, user), action="user.logged_in")


@receiver(user_login_failed)
def on_login_failed(credentials: dict[str, Any], **kwargs: Any) -> None:
    # A reauthentication that failed arrives here too; its request is of somebody signed in.
    email = str(credentials.get("email", ""))
    login_failure_record(kwargs.get("request"), email=email, reason="credentials")


@receiver([signals.password_changed, signals.password_set])
def on_password_changed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    audit_record(actor=actor_of(request, user), action="user.password_changed")


@receiver(signals.password_reset)
def on_password_reset(request: HttpRequest, user: User, **kwargs: Any) -> None:
    audit_record(actor=actor_of(request, user), action="user.password_reset")


@receiver(signals.email_added)
def on_email_added(
    request: HttpRequest, user: User, email_address: EmailAddress, **kwargs: Any
) -> None:
    _record_email(request, user, "user.email_added", email=email_address.email)


@receiver(signals.email_removed)
def on_email_removed(
    request: HttpRequest, user: User, email_address: EmailAddress, **kwargs: Any
) -> None:
    _record_email(request, user, "user.email_removed", email=email_address.email)


@receiver(signals.email_confirmed)
def on_email_confirmed(request: HttpRequest, email_address: EmailAddress, **kwargs: Any) -> None:
    _record_email(request, email_address.user, "user.email_verified", email=email_address.email)


@receiver(pre_save, sender=EmailAddress)
def on_confirmed_address(instance: EmailAddress, **kwargs: Any) -> None:
    if instance.verified:
        address_release(email=instance.email, owner=instance.user)


@receiver(signals.email_changed)
def on_email_changed(
    request: HttpRequest,
    user: User,
    from_email_address: EmailAddress | None,
    to_email_address: EmailAddress,
    **kwargs: Any,
) -> None:
    before = from_email_address.email if from_email_address else None
    _record_email(request, user, "user.email_changed", before=before, after=to_email_address.email)


# Of the model: allauth's own signals come after the transaction, or between two.
@receiver(post_save, sender=Authenticator)
def on_mfa_added(instance: Authenticator, created: bool, **kwargs: Any) -> None:
    if created:
        # Whoever had only the password is out.
        _mfa_changed(instance, "user.mfa_added")


@receiver(pre_delete, sender=Authenticator)
def on_mfa_removed(instance: Authenticator, **kwargs: Any) -> None:
    # A thief's first step may be to take the second factor away.
    _mfa_changed(instance, "user.mfa_removed")


@receiver(mfa_signals.authentication_failed)
def on_mfa_failed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    audit_record(
        actor=actor_of(request, None), action="user.mfa_failed", data={"email": user.email}
    )


def _record_email(request: HttpRequest, user: User, action: str, **data: Any) -> None:
    audit_record(actor=actor_of(request, user), action=action, data=data)


def _mfa_changed(authenticator: Authenticator, action: str) -> None:
    request, user = context.request, authenticator.user
    actor = actor_of(request, user) if request is not None else OPERATOR
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        sign_ins_revoke(user=user, ip=actor.ip_address)
    audit_record(
        actor=actor,
        action=action,
        target_kind="user",
        target_uuid=user.uuid,
        data={"type": authenticator.type},
    )
