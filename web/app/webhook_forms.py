from datetime import timedelta
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from jobs.models import WebhookEndpoint
from jobs.webhook_events import EVENT_TYPES
from jobs.webhooks import OVERLAP_AT_MOST
from web.forms import OnceForm

_URL_AT_MOST: Final = 2000
_ALL, _SOME = "all", "some"
EVENT_TEXTS: Final = {
    "job.succeeded": _("A job ended well; its results are ready."),
    "job.failed": _("A job ended without results; nothing was charged."),
    "job.cancelled": _("A job was stopped on request; nothing was charged."),
    "upload.ready": _("A recording that was sent in parts can be used."),
    "upload.failed": _("A recording that was sent in parts cannot be used."),
    "import.ready": _("A recording was fetched from its address."),
    "import.failed": _("A recording could not be fetched or used."),
    "credits.low": _("Fewer credits are left than the alert on the credits page names."),
}


class EndpointForm(forms.Form):
    url = forms.CharField(
        max_length=_URL_AT_MOST,
        label=_("Address"),
        help_text=_("A public https:// address of yours that takes POST."),
        widget=forms.URLInput(attrs={"autocomplete": "off", "placeholder": "https://"}),
    )
    description = forms.CharField(max_length=200, required=False, label=_("Description"))
    wanted = forms.ChoiceField(
        choices=[
            (_ALL, _("All events, also those that will be added")),
            (_SOME, _("Only these")),
        ],
        widget=forms.RadioSelect,
        initial=_ALL,
        label=_("Events"),
    )
    events = forms.MultipleChoiceField(
        # What has no translation yet is told as the API tells it.
        choices=[(name, EVENT_TEXTS.get(name, text)) for name, text in EVENT_TYPES.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        label=_("Chosen events"),
    )

    @staticmethod
    def values_of(endpoint: WebhookEndpoint) -> dict[str, Any]:
        return {
            "url": endpoint.url,
            "description": endpoint.description,
            "wanted": _SOME if endpoint.events else _ALL,
            "events": endpoint.events,
        }

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("wanted") == _SOME and not values.get("events"):
            self.add_error("events", _("Choose at least one."))
        return values

    def values(self) -> dict[str, Any]:
        """The arguments of the service."""
        given = self.cleaned_data
        return {
            "url": given["url"],
            "description": given["description"],
            "events": [] if given["wanted"] == _ALL else given["events"],
        }


class NewEndpointForm(EndpointForm, OnceForm):
    pass


class RollSecretForm(OnceForm):
    overlap = forms.ChoiceField(
        label=_("The old secret signs beside the new one for"),
        initial="24",
        choices=[
            ("0", _("no longer: it has leaked")),
            ("1", _("an hour")),
            ("24", _("a day")),
            (str(int(OVERLAP_AT_MOST.total_seconds()) // 3600), _("a week")),
        ],
    )

    @property
    def overlap_period(self) -> timedelta:
        return timedelta(hours=int(self.cleaned_data["overlap"]))


class ResendForm(forms.Form):
    since = forms.ChoiceField(
        label=_("Of the last"),
        initial="24",
        choices=[("1", _("hour")), ("24", _("day")), ("168", _("week")), ("720", _("30 days"))],
    )

    @property
    def since_period(self) -> timedelta:
        return timedelta(hours=int(self.cleaned_data["since"]))
