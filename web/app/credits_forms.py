"""What a workspace wants of the automatic top-up, as people write it."""

from typing import Any, Final

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from billing.auto_top_ups import TopUpWish
from billing.models import AutoTopUp, CreditAlert, Pack
from billing.pricing import credits_text
from billing.shop import packs_list
from web.amounts import CreditsField, cents_read, cents_written, decimal_input
from web.money import money_text

# Where nothing is sold.
_PROPOSED_MCR: Final = 100_000


class TopUpForm(forms.Form):
    """Fields are called as the service calls them, so that what it refuses is said beside them."""

    is_enabled = forms.BooleanField(
        required=False, label=_("Buy a pack automatically when credits run low")
    )
    threshold_mcr = CreditsField(label=_("When fewer credits are left than"))
    pack = forms.ChoiceField(label=_("Buy"))
    monthly_ceiling_cents = forms.CharField(
        max_length=10,
        label=_("Never spend more in a month than"),
        help_text=_("In the currency of the pack; months are those of UTC."),
        widget=decimal_input(),
    )

    def __init__(self, data: QueryDict | None = None, *, row: AutoTopUp | None) -> None:
        packs = list(packs_list())
        super().__init__(data, initial=_initial(row, packs), auto_id="top-up-%s")
        self.packs = {pack.code: pack for pack in packs}
        field = self.fields["pack"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - see above
        field.choices = [
            (pack.code, f"{pack.name}, {money_text(pack.price_cents, pack.currency)}")
            for pack in packs
        ]

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        pack = self.packs.get(values.get("pack", ""))
        if pack is not None and "monthly_ceiling_cents" in values:
            cents = cents_read(values["monthly_ceiling_cents"], pack.currency)
            if cents is None:
                self.add_error("monthly_ceiling_cents", _("Write an amount like 20 or 19.50."))
            elif cents < pack.price_cents:
                price = money_text(pack.price_cents, pack.currency)
                problem = _("This is less than one pack costs, %(price)s.") % {"price": price}
                self.add_error("monthly_ceiling_cents", problem)
            else:
                values["monthly_ceiling_cents"] = cents
        return values

    def wish(self) -> TopUpWish:
        return TopUpWish(
            is_enabled=self.cleaned_data["is_enabled"],
            threshold_mcr=self.cleaned_data["threshold_mcr"],
            pack=self.cleaned_data["pack"],
            monthly_ceiling_cents=self.cleaned_data["monthly_ceiling_cents"],
        )


class CreditAlertForm(forms.Form):
    """As `TopUpForm`, of the mail that tells of credits that run low."""

    is_enabled = forms.BooleanField(
        required=False, label=_("Mail owners and billing members when credits run low")
    )
    threshold_mcr = CreditsField(
        label=_("When fewer credits are left than"),
        help_text=_("Once, and again only after there were so many in between."),
    )

    def __init__(self, data: QueryDict | None = None, *, row: CreditAlert | None) -> None:
        packs = list(packs_list()[:1])
        # A proposal: as that of the top-up.
        proposed_mcr = packs[0].credits_mcr // 10 if packs else _PROPOSED_MCR
        initial = {
            "is_enabled": row is not None and row.is_enabled,
            "threshold_mcr": credits_text(row.threshold_mcr if row else proposed_mcr),
        }
        super().__init__(data, initial=initial, auto_id="alert-%s")


def _initial(row: AutoTopUp | None, packs: list[Pack]) -> dict[str, Any]:
    if row is not None:
        ceiling = cents_written(row.monthly_ceiling_cents, row.pack.currency)
        return {
            "is_enabled": row.is_enabled,
            "threshold_mcr": credits_text(row.threshold_mcr),
            "pack": row.pack.code,
            "monthly_ceiling_cents": ceiling,
        }
    if not packs:
        return {}
    # A proposal: a tenth of the smallest pack is left, and that pack four times a month.
    first = packs[0]
    return {
        "threshold_mcr": credits_text(first.credits_mcr // 10),
        "pack": first.code,
        "monthly_ceiling_cents": cents_written(first.price_cents * 4, first.currency),
    }
