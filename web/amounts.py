"""Amounts as people write them in forms."""

import re
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.pricing import credits_parse
from web.money import decimals_of

_CENTS: Final = re.compile(r"[0-9]{1,8}([.,][0-9]{1,2})?")


def decimal_input() -> forms.TextInput:
    """For a number that may have digits behind a point or a comma."""
    return forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})


class CreditsField(forms.CharField):
    """Credits, which become milli-credits."""

    def __init__(self, **values: Any) -> None:
        super().__init__(max_length=14, widget=decimal_input(), **values)

    def clean(self, value: Any) -> Any:
        try:
            return credits_parse(super().clean(value).replace(",", "."))
        except ValueError:
            raise forms.ValidationError(_("Write credits like 500 or 12.5.")) from None


def cents_read(text: str, currency: str) -> int | None:
    """The smallest units of a currency; None for what is no amount of it."""
    if not _CENTS.fullmatch(text):
        return None
    amount = Decimal(text.replace(",", ".")).scaleb(decimals_of(currency))
    return int(amount) if amount == int(amount) else None


def cents_written(cents: int, currency: str) -> str:
    """As `cents_read` takes it."""
    return f"{Decimal(cents).scaleb(-decimals_of(currency)):f}"
