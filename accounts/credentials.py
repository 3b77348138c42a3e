"""Checking an e-mail address with a password and, where there is one, a second factor."""

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.receivers import login_failure_record
from accounts.second_factor import AuthenticateForm
from config.errors import InvalidCredentials, SecondFactorRequired, TooManyAttempts

# The longest of allauth's windows for failed attempts.
_WAIT_S = 300


def credentials_check(*, request: HttpRequest, email: str, password: str, code: str) -> User:
    """The person, or one refusal for all that may be wrong: nobody learns who has an account.

    allauth needs the request: it counts failures by address, and spends as long on an unknown
    person as on a known one.
    """
    try:
        user = get_adapter().authenticate(request, email=email, password=password)
    except ValidationError:
        raise _too_many() from None
    if user is None or not user.is_active:
        # Recorded by on_login_failed.
        raise InvalidCredentials
    # From here on somebody knows the password, which its owner may want to hear of.
    if not _is_confirmed(user, email):
        login_failure_record(request, email=email, reason="address_unconfirmed")
        raise InvalidCredentials
    try:
        _check_second_factor(user, code)
    except SecondFactorRequired:
        login_failure_record(request, email=email, reason="second_factor_required")
        raise
    except InvalidCredentials:
        login_failure_record(request, email=email, reason="second_factor_wrong")
        raise
    assert isinstance(user, User)  # noqa: S101 - for mypy; allauth knows AUTH_USER_MODEL only
    return user


def _is_confirmed(user: User, email: str) -> bool:
    addresses = EmailAddress.objects.filter(user=user, email=email.lower(), verified=True)
    return bool(addresses.exists())


def _check_second_factor(user: User, code: str) -> None:
    types = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    has_app = Authenticator.Type.TOTP in types
    if not has_app and Authenticator.Type.WEBAUTHN not in types:
        # Recovery codes alone are a leftover.
        return
    if not code and has_app:
        raise SecondFactorRequired
    if not code:
        raise SecondFactorRequired(
            _(
                "This account is protected by passkeys, which need a browser: send one of its "
                "recovery codes as `code`."
            )
        )
    form = AuthenticateForm(data={"code": code}, user=user)
    if form.is_valid():
        form.authenticator.record_usage()
        return
    if form.has_error("code", "too_many_login_attempts"):
        raise _too_many()
    raise InvalidCredentials


def _too_many() -> TooManyAttempts:
    return TooManyAttempts(headers={"Retry-After": str(_WAIT_S)})
