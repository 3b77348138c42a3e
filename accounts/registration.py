"""Signing up without a browser: a code that is mailed takes the place of the link.

Nobody learns from an answer whether an address has an account: who has one is told so by mail.
"""

import hmac
import secrets
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import uuid4

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.http import HttpRequest

from accounts.addresses import address_problem
from accounts.audit import audit_record
from accounts.mail import registration_mail_send, registration_needless_mail_send
from accounts.models import Registration, User
from accounts.passwords import mail_count, password_check
from accounts.receivers import actor_of
from accounts.workspaces import workspace_default_for
from config.errors import ValidationFailed

CODE_DIGITS: Final = 6
LASTS: Final = timedelta(minutes=15)
# Of a million codes: who tries five has one chance in 200,000.
FAILURES_MAX: Final = 5


def registration_begin(*, request: HttpRequest, email: str, password: str, full_name: str) -> None:
    """Mail a code. Begun again, the former code is worth nothing."""
    email = email.lower()
    if problem := address_problem(email):
        raise ValidationFailed(fields={"email": [problem]})
    password_check(request, password, user=User(email=email, first_name=full_name))
    mail_count(email, what="registration")
    registrations_clean()
    # Also where it is not needed: an answer must not take longer for an address that is new.
    hashed = make_password(password)
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
    with suppress(IntegrityError), transaction.atomic():
        # Begun twice in the same moment: the mail of the other one counts.
        Registration.objects.filter(email=email).delete()
        Registration.objects.create(
            email=email,
            full_name=full_name,
            password=hashed,
            code_hash=_hash(email, code),
            expires_at=Now() + LASTS,
        )
        # A mail that cannot be sent is logged: an answer must not tell.
        send = registration_needless_mail_send if _is_taken(email) else registration_mail_send
        transaction.on_commit(lambda: send(email=email, code=code), robust=True)


def registration_finish(*, request: HttpRequest, email: str, code: str) -> User | None:
    """The person, with a workspace of their own; None for whatever may be wrong with the code."""
    email = email.lower()
    with transaction.atomic():
        row = _open(email)
        if row is None:
            return None
        if not hmac.compare_digest(bytes(row.code_hash), _hash(email, code)):
            # Kept although the answer is a refusal.
            Registration.objects.filter(pk=row.pk).update(failures=F("failures") + 1)
            return None
        row.delete()
        # Somebody else may have confirmed this address meanwhile, in a browser.
        return None if _is_taken(email) else _user_create(request, row)


def registrations_clean() -> int:
    """Forget those whose code has expired."""
    return Registration.objects.filter(expires_at__lt=Now()).delete()[0]


def _open(email: str) -> Registration | None:
    """Locked: of two tries at the same time, both count."""
    return (
        Registration.objects.select_for_update()
        .filter(email=email)
        .filter(expires_at__gt=Now())
        .filter(failures__lt=FAILURES_MAX)
        .first()
    )


def _user_create(request: HttpRequest, row: Registration) -> User:
    # Under an address that nobody has, until others who never confirmed theirs have let go of it:
    # saving the confirmed one sees to that (accounts/receivers.py).
    user = User(email=f"{uuid4()}@released.invalid", first_name=row.full_name)
    user.password = row.password
    user.save(force_insert=True)
    user.refresh_from_db(fields=["uuid"])
    EmailAddress.objects.create(user=user, email=row.email, verified=True, primary=True)
    user.email = row.email
    user.save(update_fields=["email"])
    actor = actor_of(request, user)
    audit_record(actor=actor, action="user.signed_up")
    audit_record(actor=actor, action="user.email_verified", data={"email": row.email})
    workspace_default_for(user=user, actor=actor)
    return user


def _is_taken(email: str) -> bool:
    return bool(EmailAddress.objects.filter(email=email, verified=True).exists())


def _hash(email: str, code: str) -> bytes:
    # A short code: without the key, whoever sees the hash would find it at once.
    return hmac.digest(settings.SECRET_KEY.encode(), f"{email} {code}".encode(), "sha256")
