"""allauth's forms for second factors, mended. In use for pages and API alike (MFA_FORMS).

Codes of authenticator apps are good once.
"""

from typing import Any

from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp_forms
from django.core.cache import cache


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


class ActivateTOTPForm(totp_forms.ActivateTOTPForm):  # type: ignore[misc]
    def clean_code(self) -> str:
        code: str = super().clean_code()
        _use_up(self.user, code)
        return code
