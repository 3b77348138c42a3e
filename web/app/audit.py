"""Who did what that matters to security or money."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.audit import audit_list
from accounts.models import AuditEvent
from accounts.principal import Principal
from accounts.scopes import AUDIT_READ
from accounts.selectors import members_list
from web.app.audit_texts import ACTIONS, KINDS, action_text, data_lines
from web.paging import page_newest_first, uuid_of
from web.time_zone import midnight
from web.views import app_page

# Of what has a page: its kind, and the name of the page.
_PAGES = {"key": ("key", "key_uuid"), "webhook": ("webhook", "webhook_uuid")}


class AuditForm(forms.Form):
    """What the address filters by."""

    action = forms.ChoiceField(
        choices=[("", _("All actions")), *ACTIONS.items()], required=False, label=_("Action")
    )
    actor = forms.ChoiceField(required=False, label=_("By"))
    since = forms.DateField(
        required=False,
        label=_("From"),
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    until = forms.DateField(
        required=False,
        label=_("Up to"),
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def __init__(self, *args: Any, actors: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        everybody = ("", _("Everybody"))
        self.fields["actor"].choices = [everybody, *actors]  # type: ignore[attr-defined]

    def rows(self, principal: Principal) -> QuerySet[AuditEvent]:
        values = self.cleaned_data
        since, until = values.get("since"), values.get("until")
        return audit_list(
            workspace=principal.workspace,
            action=values.get("action") or None,
            actor=uuid_of(values.get("actor") or ""),
            since=midnight(since) if since else None,
            until=midnight(until, days=1) if until else None,
        )


@app_page(AUDIT_READ)
def audit(request: HttpRequest, principal: Principal) -> HttpResponse:
    form = AuditForm(request.GET, actors=_actors(request, principal))
    # With a filter that makes no sense, nothing is found, and the form says why.
    rows = form.rows(principal) if form.is_valid() else AuditEvent.objects.none()
    page = page_newest_first(rows, request.GET.get("after", ""))
    context = {
        "form": form,
        "page": page,
        "rows": [_shown(event) for event in page.rows],
        "is_filtered": any(request.GET.get(name) for name in form.fields),
    }
    return render(request, "app/audit.html", context, status=200 if form.is_valid() else 400)


def _actors(request: HttpRequest, principal: Principal) -> list[tuple[str, str]]:
    members = members_list(workspace=principal.workspace).order_by("user__email")
    choices = [(str(member.user.uuid), member.user.email) for member in members]
    # One who has gone since, or a key: by a link of the list.
    asked = uuid_of(request.GET.get("actor", ""))
    if asked and str(asked) not in dict(choices):
        event = audit_list(workspace=principal.workspace, actor=asked).first()
        choices.append((str(asked), event.actor_label if event else str(asked)))
    return choices


def _shown(event: AuditEvent) -> dict[str, Any]:
    url = None
    if event.target_kind in _PAGES and event.target_uuid:
        name, parameter = _PAGES[event.target_kind]
        url = reverse(name, kwargs={parameter: event.target_uuid})
    return {
        "event": event,
        "action": action_text(event.action),
        "actor_kind": KINDS.get(event.actor_kind, event.actor_kind),
        "target_kind": KINDS.get(event.target_kind, event.target_kind),
        "target_url": url,
        "lines": data_lines(event.data),
    }
