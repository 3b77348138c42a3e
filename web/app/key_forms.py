from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.api_keys import GRACE_AT_MOST
from accounts.models import ApiKey
from web.app.scope_texts import SCOPE_TEXTS
from web.forms import OnceForm
from web.time_zone import midnight

_MCR: Final = 1000
_CREDITS_AT_MOST: Final = 10**12
_ALL, _SOME = "all", "some"
_ON_A_DAY = "date"


class KeyForm(forms.Form):
    """What can be changed of a key, too."""

    name = forms.CharField(
        max_length=100,
        label=_("Name"),
        help_text=_("What uses it, so that you know what breaks when you revoke it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    access = forms.ChoiceField(
        choices=[(_ALL, _("Everything a key may do")), (_SOME, _("Only what I choose"))],
        widget=forms.RadioSelect,
        initial=_ALL,
        label=_("Rights"),
    )
    scopes = forms.MultipleChoiceField(
        choices=list(SCOPE_TEXTS.items()),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        label=_("Chosen rights"),
    )
    cap = forms.DecimalField(
        required=False,
        min_value=0,
        max_value=_CREDITS_AT_MOST,
        decimal_places=3,
        label=_("Credits a month at most"),
        help_text=_("Empty: as much as the workspace has. Months are those of UTC."),
        widget=forms.NumberInput(attrs={"inputmode": "decimal"}),
    )
    rate = forms.IntegerField(required=False, min_value=1, label=_("Calls a minute at most"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        usual = settings.RATE_LIMIT_PER_MINUTE
        rate = self.fields["rate"]
        # More than the usual is for the operator to give.
        given = self.initial.get("rate") or 0
        most = max(usual, given)
        rate.validators.append(forms.IntegerField(max_value=most).validators[0])
        rate.widget.attrs["max"] = most
        rate.help_text = _("For each endpoint. Empty: the usual %(limit)s.") % {"limit": usual}

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("access") == _SOME and not values.get("scopes"):
            self.add_error("scopes", _("Choose at least one."))
        return values

    def changes(self) -> dict[str, Any]:
        """The arguments of the service."""
        values = self.cleaned_data
        cap = values["cap"]
        return {
            "name": values["name"],
            "scopes": ["*"] if values["access"] == _ALL else values["scopes"],
            "monthly_cap_mcr": None if cap is None else int(cap * _MCR),
            "rate_limit_per_minute": values["rate"],
        }


class NewKeyForm(KeyForm, OnceForm):
    expires = forms.ChoiceField(
        choices=[
            ("", _("Never")),
            ("30", _("In 30 days")),
            ("90", _("In 90 days")),
            ("365", _("In a year")),
            (_ON_A_DAY, _("After a day that I choose")),
        ],
        required=False,
        label=_("Expires"),
    )
    last_day = forms.DateField(
        required=False,
        label=_("Its last day"),
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if values.get("expires") == _ON_A_DAY and not values.get("last_day"):
            self.add_error("last_day", _("Choose a day."))
        return values

    def changes(self) -> dict[str, Any]:
        return {**super().changes(), "expires_at": self._expires_at()}

    def _expires_at(self) -> datetime | None:
        choice = self.cleaned_data["expires"]
        if choice == _ON_A_DAY:
            return midnight(self.cleaned_data["last_day"], days=1)
        return timezone.now() + timedelta(days=int(choice)) if choice else None


class EditKeyForm(KeyForm):
    """A key can only be narrowed: what it lacks is not offered."""

    def __init__(self, *args: Any, key: ApiKey, **kwargs: Any) -> None:
        cap = key.monthly_cap_mcr
        initial = {
            "name": key.name,
            "access": _ALL if "*" in key.scopes else _SOME,
            "scopes": list(SCOPE_TEXTS) if "*" in key.scopes else key.scopes,
            "cap": None if cap is None else cap / _MCR,
            "rate": key.rate_limit_per_minute,
        }
        super().__init__(*args, initial=initial, **kwargs)
        if "*" not in key.scopes:
            self.fields["access"].choices = [(_SOME, _("Only what I choose"))]  # type: ignore[attr-defined]
            self.fields["scopes"].choices = [  # type: ignore[attr-defined]
                (scope, text) for scope, text in SCOPE_TEXTS.items() if scope in key.scopes
            ]


class RollKeyForm(OnceForm):
    grace = forms.ChoiceField(
        label=_("The old key works on for"),
        initial="86400",
        choices=[
            ("0", _("no longer: it has leaked")),
            ("3600", _("an hour")),
            ("86400", _("a day")),
            (str(int(GRACE_AT_MOST.total_seconds())), _("a week")),
        ],
    )

    @property
    def grace_period(self) -> timedelta:
        return timedelta(seconds=int(self.cleaned_data["grace"]))
