"""allauth's forms for second factors, mended. In use for pages and API alike (MFA_FORMS).

Codes of authenticator apps are good once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp_forms
from allauth.mfa.webauthn import forms as webauthn_forms
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.forms import HiddenInput, JSONField


def _use_up(user: Any, code: str) -> None:
    """allauth forgets a used code after one period, though it is valid for several."""
    digits = "".join(filter(str.isdigit, code))
    valid_s = app_settings.TOTP_PERIOD * (2 * app_settings.TOTP_TOLERANCE + 1)
    if not cache.add(f"totp-used:{user.pk}:{digits}", True, timeout=valid_s):
        raise get_adapter().validation_error("incorrect_code")


class _GoodOnce:
    user: Any
    authenticator: Authenticator

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]
        if self.authenticator.type == Authenticator.Type.TOTP:
            _use_up(self.user, code)
        return code


class AuthenticateForm(_GoodOnce, forms.AuthenticateForm):  # type: ignore[misc]
    pass


class ReauthenticateForm(_GoodOnce, forms.ReauthenticateForm):  # type: ignore[misc]
    pass


@contextmanager
def _decoded() -> Iterator[None]:
    """A form error for what is no answer of a passkey; allauth minds only some of it."""
    try:
        yield
    except (ValueError, KeyError):
        raise get_adapter().validation_error("incorrect_code") from None


class _CredentialField(JSONField):
    """Django's does not expect JSON that is too deep, neither in checking nor in showing it."""

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except RecursionError:
            raise ValidationError(self.error_messages["required"], code="invalid") from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return super().bound_data(data, initial)
        except RecursionError:
            return initial


class AddWebAuthnForm(webauthn_forms.AddWebAuthnForm):  # type: ignore[misc]
    credential = _CredentialField(widget=HiddenInput)

    def clean(self) -> dict[str, Any]:
        with _decoded():
            return dict(super().clean())


class AuthenticateWebAuthnForm(webauthn_forms.AuthenticateWebAuthnForm):  # type: ignore[misc]
    credential = _CredentialField(widget=HiddenInput)

    def clean_credential(self) -> Authenticator:
        with _decoded():
            return super().clean_credential()


class LoginWebAuthnForm(AuthenticateWebAuthnForm, webauthn_forms.LoginWebAuthnForm):  # type: ignore[misc]
    pass


class ReauthenticateWebAuthnForm(
    AuthenticateWebAuthnForm,
    webauthn_forms.ReauthenticateWebAuthnForm,  # type: ignore[misc]
):
    pass


class ActivateTOTPForm(totp_forms.ActivateTOTPForm):  # type: ignore[misc]
    def clean_code(self) -> str:
        code: str = super().clean_code()
        _use_up(self.user, code)
        return code
