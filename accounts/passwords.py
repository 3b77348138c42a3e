"""Changing a password, or setting a forgotten one, without a browser."""

import hashlib
from typing import Final

from allauth.account import signals
from allauth.account.adapter import get_adapter
from allauth.account.forms import ResetPasswordForm, UserTokenForm
from allauth.account.internal.flows.password_reset import finalize_password_reset
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.rate_limits import rate_count
from config.errors import TooManyAttempts, ValidationFailed

# Each is a mail to somebody who may not have asked for it.
_MAILS_MAX: Final = 5
# No longer than counts are kept (rate_windows_clean).
_MAILS_WINDOW_S: Final = 600
# The longest of allauth's windows for failed attempts.
_WAIT_S: Final = 300


def password_check(
    request: HttpRequest, password: str, *, user: User, field: str = "password"
) -> None:
    """By the same rules as on the pages."""
    try:
        get_adapter(request).clean_password(password, user)
    except ValidationError as error:
        raise ValidationFailed(fields={field: list(error.messages)}) from None


def password_change(
    *, request: HttpRequest, user: User, current_password: str, new_password: str
) -> None:
    """Ends all sign-ins of the person, the one that asks too."""
    adapter = get_adapter(request)
    try:
        known = adapter.authenticate(request, email=user.email, password=current_password)
    except ValidationError:
        raise TooManyAttempts(headers={"Retry-After": str(_WAIT_S)}) from None
    if known is None or known.pk != user.pk:
        problem = _("This is not your password.")
        raise ValidationFailed(fields={"current_password": [problem]})
    password_check(request, new_password, user=user, field="new_password")
    with transaction.atomic():
        adapter.set_password(user, new_password)
        signals.password_changed.send(sender=User, request=request, user=user)
        adapter.send_notification_mail("account/email/password_changed", user)


def password_reset_ask(*, request: HttpRequest, email: str) -> None:
    """Mail a link, or that there is no account: the answer is the same."""
    mail_count(email.lower(), what="password-reset")
    form = ResetPasswordForm(data={"email": email})
    if form.is_valid():
        form.save(request)


def password_reset_finish(*, request: HttpRequest, token: str, new_password: str) -> None:
    """`token` is what the mailed link ends with."""
    uidb36, _dash, key = token.partition("-")
    form = UserTokenForm(data={"uidb36": uidb36, "key": key})
    if not form.is_valid() or not form.reset_user.is_active:
        problem = _("This link is not valid, no longer valid, or was used before.")
        raise ValidationFailed(fields={"token": [problem]})
    user: User = form.reset_user
    password_check(request, new_password, user=user, field="new_password")
    with transaction.atomic():
        get_adapter(request).set_password(user, new_password)
        finalize_password_reset(request, user)


def mail_count(email: str, *, what: str) -> None:
    """Count a mail to an address, whoever asks for it. Outside of any transaction."""
    subject = "mail:" + hashlib.sha256(email.encode()).hexdigest()[:48]
    rate = rate_count(subject=subject, endpoint=what, limit=_MAILS_MAX, window_s=_MAILS_WINDOW_S)
    if rate.is_exceeded:
        raise TooManyAttempts(headers={"Retry-After": str(rate.reset_s)})
