"""Packs and plans as operators write them."""

import re
from typing import Any, Final

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.offers import PackTerms, PlanTerms
from billing.pricing import credits_text
from web.amounts import CreditsField, cents_read, cents_written, decimal_input
from web.money import money_text
from web.templatetags.stemwright import credits

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
_CURRENCY: Final = re.compile(r"[a-z]{3}")
_WHOLE: Final = forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"})
# What the preview calls each, in its order.
LABELS: Final = {
    "name": gettext_lazy("Name"),
    "credits_mcr": gettext_lazy("Credits"),
    "monthly_mcr": gettext_lazy("Credits a month"),
    "price_cents": gettext_lazy("Price"),
    "expires_after_days": gettext_lazy("Credits expire after"),
    "parallel_jobs": gettext_lazy("Jobs at a time"),
    "results_days": gettext_lazy("Results are kept for"),
    "uploads_days": gettext_lazy("Uploads are kept for"),
    "is_active": gettext_lazy("On sale"),
    "position": gettext_lazy("Place in the list"),
}


def _days_field(label: Any, help_text: Any) -> forms.IntegerField:
    return forms.IntegerField(
        required=False,
        min_value=1,
        max_value=36_500,
        label=label,
        help_text=help_text,
        widget=_WHOLE,
    )


class OfferForm(forms.Form):
    """What packs and plans share; fields are called as those of the terms."""

    code = forms.CharField(
        max_length=50,
        label=gettext_lazy("Code"),
        help_text=gettext_lazy(
            "As the API calls it: small letters, digits, hyphens. It never changes."
        ),
    )
    name = forms.CharField(max_length=100, label=LABELS["name"])
    currency = forms.CharField(
        max_length=3,
        label=gettext_lazy("Currency"),
        help_text=gettext_lazy("Three letters, like usd. It never changes."),
    )
    price_cents = forms.CharField(
        max_length=11, label=LABELS["price_cents"], widget=decimal_input()
    )
    position = forms.IntegerField(
        min_value=0,
        max_value=10_000,
        label=LABELS["position"],
        help_text=gettext_lazy("The smallest comes first."),
        widget=_WHOLE,
    )
    is_active = forms.BooleanField(required=False, label=LABELS["is_active"])
    reason = forms.CharField(max_length=150, label=gettext_lazy("Reason"))
    reference = forms.CharField(
        max_length=40, required=False, label=gettext_lazy("Ticket or reference")
    )

    def __init__(
        self, data: QueryDict | None = None, *, seen: PackTerms | PlanTerms | None
    ) -> None:
        super().__init__(data, initial=_initial(seen), auto_id="offer-%s")
        self.seen = seen
        if seen is not None:
            # Both stay as they are.
            del self.fields["code"], self.fields["currency"]
            self.fields["price_cents"].help_text = _("In %(currency)s.") % {
                "currency": seen.currency.upper()
            }

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if not _CODE.fullmatch(code) or code == "new":
            raise forms.ValidationError(_("Small letters, digits and hyphens; not “new”."))
        return code

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].lower()
        if not _CURRENCY.fullmatch(currency):
            raise forms.ValidationError(_("Three letters, like usd."))
        return currency

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if self.seen is not None:
            values["currency"] = self.seen.currency
        if "price_cents" in values and "currency" in values:
            cents = cents_read(values["price_cents"], values["currency"])
            if cents is None:
                self.add_error("price_cents", _("Write an amount like 20 or 19.50."))
            else:
                values["price_cents"] = cents
        return values

    def _terms(self, names: Any) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in names}


class PackForm(OfferForm):
    credits_mcr = CreditsField(label=LABELS["credits_mcr"])
    expires_after_days = _days_field(
        gettext_lazy("Credits expire after (days)"), gettext_lazy("Empty: never.")
    )
    field_order = ("code", "name", "credits_mcr", "currency", "price_cents", "expires_after_days")

    def terms(self) -> PackTerms:
        return PackTerms(**self._terms(PackTerms.__dataclass_fields__))


class PlanForm(OfferForm):
    monthly_mcr = CreditsField(label=LABELS["monthly_mcr"])
    parallel_jobs = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=100_000,
        label=LABELS["parallel_jobs"],
        help_text=gettext_lazy("Empty: any number."),
        widget=_WHOLE,
    )
    results_days = _days_field(
        gettext_lazy("Results are kept for (days)"), gettext_lazy("Empty: as without a plan.")
    )
    uploads_days = _days_field(
        gettext_lazy("Uploads are kept for (days)"), gettext_lazy("Empty: as without a plan.")
    )
    field_order = (
        "code",
        "name",
        "monthly_mcr",
        "currency",
        "price_cents",
        "parallel_jobs",
        "results_days",
        "uploads_days",
    )

    def terms(self) -> PlanTerms:
        return PlanTerms(**self._terms(PlanTerms.__dataclass_fields__))


def shown(name: str, value: Any, terms: PackTerms | PlanTerms) -> str:
    """A value of the terms, in words."""
    match name:
        case "price_cents":
            return money_text(value, terms.currency)
        case "credits_mcr" | "monthly_mcr":
            return credits(value)
        case "is_active":
            return _("yes") if value else _("no")
        case "expires_after_days":
            return _("never") if value is None else _days(value)
        case "parallel_jobs":
            return _("any number") if value is None else str(value)
        case "results_days" | "uploads_days":
            return _("as without a plan") if value is None else _days(value)
    return str(value)


def _days(number: int) -> str:
    return _("%(days)s days") % {"days": number}


def _initial(seen: PackTerms | PlanTerms | None) -> dict[str, Any]:
    if seen is None:
        return {"currency": "usd", "position": 0, "is_active": False}
    values = {name: getattr(seen, name) for name in seen.__dataclass_fields__}
    for name in ("credits_mcr", "monthly_mcr"):
        if name in values:
            values[name] = credits_text(values[name])
    return {**values, "price_cents": cents_written(seen.price_cents, seen.currency)}
