"""API keys. A key is shown in the answer that made it, and nowhere else."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.api_keys import (
    api_key_create,
    api_key_list,
    api_key_revoke,
    api_key_roll,
    api_key_state,
    api_key_update,
)
from accounts.mail import site_url
from accounts.models import ApiKey
from accounts.principal import Principal
from accounts.scopes import KEYS_READ, KEYS_WRITE, key_scopes
from billing.key_spending import with_spending
from config.errors import NotFound
from web.app.key_forms import EditKeyForm, NewKeyForm, RollKeyForm
from web.app.scope_texts import SCOPE_TEXTS
from web.forms import Refusals, TypedNameForm
from web.paging import page_newest_first
from web.views import app_page

# What is tried first with a key, by its rights.
_TRY: Final = (
    ("workspace:read", "/v1/workspace"),
    ("jobs:read", "/v1/jobs"),
    ("assets:read", "/v1/assets"),
    ("credits:read", "/v1/credits"),
    ("webhooks:read", "/v1/webhooks"),
)
_ASK = ("GET", "HEAD", "POST")
# A key that was used so lately is revoked by typing its name.
_IN_USE: Final = timedelta(days=7)


@app_page(KEYS_READ)
def keys(request: HttpRequest, principal: Principal) -> HttpResponse:
    page = page_newest_first(_keys(principal), request.GET.get("after", ""))
    context = {"page": page, "rows": [_shown(key) for key in page.rows]}
    return render(request, "app/keys.html", context)


@app_page(KEYS_WRITE, methods=_ASK)
def key_new(request: HttpRequest, principal: Principal) -> HttpResponse:
    form = NewKeyForm(request.POST or None)
    if form.is_valid():
        form.require_first(request)
        with Refusals(form, expires_at="last_day"):
            row, text = api_key_create(
                workspace=principal.workspace,
                actor=principal.actor,
                created_by=principal.user,
                **form.changes(),
            )
            return _secret(request, row, text)
    context = {"form": form, "title": _("New API key")}
    return render(request, "app/key_form.html", context, status=400 if form.is_bound else 200)


@app_page(KEYS_READ)
def key(request: HttpRequest, principal: Principal, key_uuid: UUID) -> HttpResponse:
    row = _get(principal, key_uuid)
    family = _keys(principal).filter(lineage=row.lineage).exclude(pk=row.pk)
    context = {
        **_shown(row),
        "relatives": [_shown(relative) for relative in family],
        "can_roll": not family.filter(pk__gt=row.pk, revoked_at=None).exists(),
        "roll_form": RollKeyForm(auto_id="roll_%s"),
        "typed_form": _revoke_form(row),
    }
    return render(request, "app/key.html", context)


@app_page(KEYS_WRITE, methods=_ASK)
def key_edit(request: HttpRequest, principal: Principal, key_uuid: UUID) -> HttpResponse:
    row = _get(principal, key_uuid)
    form = EditKeyForm(request.POST or None, key=row)
    if form.is_valid():
        with Refusals(form):
            api_key_update(
                workspace=principal.workspace,
                key_uuid=key_uuid,
                actor=principal.actor,
                **form.changes(),
            )
            messages.success(request, _("The key was changed."))
            return redirect("key", key_uuid)
    context = {"form": form, "key": row, "title": _("Change “%(name)s”") % {"name": row.name}}
    return render(request, "app/key_form.html", context, status=400 if form.is_bound else 200)


@app_page(KEYS_WRITE, methods=_ASK)
def key_roll(request: HttpRequest, principal: Principal, key_uuid: UUID) -> HttpResponse:
    row = _get(principal, key_uuid)
    form = RollKeyForm(request.POST or None)
    if form.is_valid():
        form.require_first(request)
        with Refusals(form):
            rolled, text = api_key_roll(
                workspace=principal.workspace,
                key_uuid=key_uuid,
                grace=form.grace_period,
                actor=principal.actor,
            )
            return _secret(request, rolled, text)
    return _ask(request, "app/key_roll.html", _("Roll the key"), row, roll_form=form)


@app_page(KEYS_WRITE, methods=_ASK)
def key_revoke(request: HttpRequest, principal: Principal, key_uuid: UUID) -> HttpResponse:
    row = _get(principal, key_uuid)
    form = _revoke_form(row, request.POST if request.method == "POST" else None)
    if request.method == "POST" and (form is None or form.is_valid()):
        api_key_revoke(workspace=principal.workspace, key_uuid=key_uuid, actor=principal.actor)
        messages.success(request, _("“%(name)s” was revoked.") % {"name": row.name})
        return redirect("keys")
    return _ask(request, "app/key_revoke.html", _("Revoke the key"), row, typed_form=form)


def _keys(principal: Principal) -> QuerySet[ApiKey]:
    return with_spending(
        api_key_list(workspace=principal.workspace).select_related("created_by", "workspace")
    )


def _get(principal: Principal, key_uuid: UUID) -> ApiKey:
    row = _keys(principal).filter(uuid=key_uuid).first()
    if row is None:
        raise NotFound(_("There is no such key."))
    return row


def _shown(row: ApiKey) -> dict[str, Any]:
    """A key as the templates show it; `now` and `spent_mcr` are of the query."""
    state = api_key_state(row)
    ends = [end for end in (row.expires_at, row.grace_until) if end is not None]
    scopes = [SCOPE_TEXTS[name] for name in SCOPE_TEXTS if name in row.scopes]
    return {
        "key": row,
        "prefix": f"ap_{row.key_id}",
        "state": state,
        "is_active": state == "active",
        "ends_at": min(ends, default=None),
        "has_all": "*" in row.scopes,
        "scopes": scopes,
    }


def _revoke_form(row: ApiKey, data: Any = None) -> TypedNameForm | None:
    """None: nobody would miss it, a button is enough."""
    now = row.now  # type: ignore[attr-defined]
    if row.last_used_at is None or row.last_used_at < now - _IN_USE:
        return None
    problem = _("This is not the name of the key.")
    return TypedNameForm(data, name=row.name, problem=problem, auto_id="revoke_%s")


def _ask(
    request: HttpRequest, template: str, title: str, row: ApiKey, **context: Any
) -> HttpResponse:
    context = {"ask": template, "title": title, **_shown(row), **context}
    return render(request, "app/ask.html", context, status=400 if request.POST else 200)


def _secret(request: HttpRequest, row: ApiKey, text: str) -> HttpResponse:
    may = key_scopes(row.scopes)
    tried = next((path for scope, path in _TRY if scope in may), None)
    context = {
        "key": row,
        "text": text,
        "title": _("Your new API key"),
        "curl": tried and f'curl {site_url(tried)} -H "X-API-Key: {text}"',
        "docs_url": reverse("native-docs"),
    }
    return render(request, "app/key_secret.html", context, status=201)
