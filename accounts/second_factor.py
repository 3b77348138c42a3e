"""Codes of authenticator apps, each good once. In use for pages and API alike (MFA_FORMS)."""

from typing import Any

from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms
from allauth.mfa.models import Authenticator
from django.core.cache import cache


class _GoodOnce:
    """allauth forgets a used code after one period, though it is valid for several."""

    user: Any
    authenticator: Authenticator

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]
        if self.authenticator.type == Authenticator.Type.TOTP:
            digits = "".join(filter(str.isdigit, code))
            valid_s = app_settings.TOTP_PERIOD * (2 * app_settings.TOTP_TOLERANCE + 1)
            if not cache.add(f"totp-used:{self.user.pk}:{digits}", True, timeout=valid_s):
                raise get_adapter().validation_error("incorrect_code")
        return code


class AuthenticateForm(_GoodOnce, forms.AuthenticateForm):  # type: ignore[misc]
    pass


class ReauthenticateForm(_GoodOnce, forms.ReauthenticateForm):  # type: ignore[misc]
    pass
