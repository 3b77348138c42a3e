"""Webhooks: endpoints and their secrets. What is sent to them: webhook_messages.py."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.principal import Principal
from accounts.scopes import WEBHOOKS_READ, WEBHOOKS_WRITE
from jobs.models import WebhookEndpoint
from jobs.webhook_health import endpoint_tallies
from jobs.webhooks import (
    callback_secret_roll,
    callback_secret_show,
    endpoint_create,
    endpoint_delete,
    endpoint_get_for_workspace,
    endpoint_list,
    endpoint_roll,
    endpoint_update,
    message_list,
)
from web.app.webhook_forms import (
    EVENT_TEXTS,
    EndpointForm,
    NewEndpointForm,
    ResendForm,
    RollSecretForm,
)
from web.app.webhook_messages import messages_context
from web.forms import Refusals
from web.views import app_page

_ASK = ("GET", "HEAD", "POST")


@app_page(WEBHOOKS_READ)
def webhooks(request: HttpRequest, principal: Principal) -> HttpResponse:
    endpoints = list(endpoint_list(workspace=principal.workspace))
    tallies = endpoint_tallies(endpoints)
    context = {
        "rows": [{"endpoint": one, "tally": tallies[one.pk]} for one in endpoints],
        "callback_form": RollSecretForm(auto_id="callback_%s"),
    }
    return render(request, "app/webhooks.html", context)


@app_page(WEBHOOKS_WRITE, methods=_ASK)
def webhook_new(request: HttpRequest, principal: Principal) -> HttpResponse:
    form = NewEndpointForm(request.POST or None)
    if form.is_valid():
        form.require_first(request)
        with Refusals(form):
            endpoint, secret = endpoint_create(
                workspace=principal.workspace, actor=principal.actor, **form.values()
            )
            return _secret(request, secret, reverse("webhook", args=[endpoint.uuid]))
    context = {"form": form, "title": _("New webhook")}
    return render(request, "app/webhook_form.html", context, status=400 if form.is_bound else 200)


@app_page(WEBHOOKS_READ)
def webhook(request: HttpRequest, principal: Principal, webhook_uuid: UUID) -> HttpResponse:
    endpoint = _get(principal, webhook_uuid)
    until, now = endpoint.old_secret_until, endpoint.now  # type: ignore[attr-defined]
    context = {
        "endpoint": endpoint,
        "events": [(name, EVENT_TEXTS.get(name, "")) for name in endpoint.events],
        "tally": endpoint_tallies([endpoint])[endpoint.pk],
        "old_secret_until": until if until and until > now else None,
        "roll_form": RollSecretForm(auto_id="roll_%s"),
        "resend_form": ResendForm(auto_id="resend_%s"),
        **messages_context(request, message_list(workspace=principal.workspace, endpoint=endpoint)),
    }
    return render(request, "app/webhook.html", context)


@app_page(WEBHOOKS_WRITE, methods=_ASK)
def webhook_edit(request: HttpRequest, principal: Principal, webhook_uuid: UUID) -> HttpResponse:
    endpoint = _get(principal, webhook_uuid)
    form = EndpointForm(request.POST or None, initial=EndpointForm.values_of(endpoint))
    if form.is_valid():
        with Refusals(form):
            endpoint_update(
                workspace=principal.workspace,
                endpoint_uuid=webhook_uuid,
                actor=principal.actor,
                **form.values(),
            )
            messages.success(request, _("The webhook was changed."))
            return redirect("webhook", webhook_uuid)
    context = {"form": form, "endpoint": endpoint, "title": _("Change the webhook")}
    return render(request, "app/webhook_form.html", context, status=400 if form.is_bound else 200)


@app_page(WEBHOOKS_WRITE, methods=_ASK)
def webhook_roll(request: HttpRequest, principal: Principal, webhook_uuid: UUID) -> HttpResponse:
    endpoint = _get(principal, webhook_uuid)
    form = RollSecretForm(request.POST or None)
    if form.is_valid():
        form.require_first(request)
        endpoint, secret = endpoint_roll(
            workspace=principal.workspace,
            endpoint_uuid=webhook_uuid,
            overlap=form.overlap_period,
            actor=principal.actor,
        )
        return _secret(request, secret, reverse("webhook", args=[webhook_uuid]))
    title = _("Roll the secret?")
    return _ask(request, "app/webhook_roll.html", title, endpoint, roll_form=form)


@app_page(WEBHOOKS_WRITE, methods=["POST"])
def webhook_enable(request: HttpRequest, principal: Principal, webhook_uuid: UUID) -> HttpResponse:
    return _switch(request, principal, webhook_uuid, is_enabled=True)


@app_page(WEBHOOKS_WRITE, methods=_ASK)
def webhook_disable(request: HttpRequest, principal: Principal, webhook_uuid: UUID) -> HttpResponse:
    if request.method == "POST":
        return _switch(request, principal, webhook_uuid, is_enabled=False)
    endpoint = _get(principal, webhook_uuid)
    return _ask(request, "app/webhook_disable.html", _("Disable the webhook?"), endpoint)


@app_page(WEBHOOKS_WRITE, methods=_ASK)
def webhook_delete(request: HttpRequest, principal: Principal, webhook_uuid: UUID) -> HttpResponse:
    endpoint = _get(principal, webhook_uuid)
    if request.method == "POST":
        endpoint_delete(
            workspace=principal.workspace, endpoint_uuid=webhook_uuid, actor=principal.actor
        )
        messages.success(request, _("The webhook was deleted."))
        return redirect("webhooks")
    return _ask(request, "app/webhook_delete.html", _("Delete the webhook?"), endpoint)


@app_page(WEBHOOKS_WRITE, methods=["POST"])
def callback_secret(request: HttpRequest, principal: Principal) -> HttpResponse:
    """By POST, so that it is in no history and no cache. It can be seen again."""
    secret = callback_secret_show(workspace=principal.workspace)
    return _secret(request, secret, reverse("webhooks"), is_callback=True)


@app_page(WEBHOOKS_WRITE, methods=_ASK)
def callback_roll(request: HttpRequest, principal: Principal) -> HttpResponse:
    form = RollSecretForm(request.POST or None)
    if form.is_valid():
        form.require_first(request)
        secret = callback_secret_roll(
            workspace=principal.workspace, overlap=form.overlap_period, actor=principal.actor
        )
        return _secret(request, secret, reverse("webhooks"), is_callback=True)
    title = _("Roll the secret of callback addresses?")
    return _ask(request, "app/webhook_callback_roll.html", title, callback_form=form)


def _get(principal: Principal, webhook_uuid: UUID) -> WebhookEndpoint:
    return endpoint_get_for_workspace(workspace=principal.workspace, endpoint_uuid=webhook_uuid)


def _switch(
    request: HttpRequest, principal: Principal, webhook_uuid: UUID, *, is_enabled: bool
) -> HttpResponse:
    endpoint_update(
        workspace=principal.workspace,
        endpoint_uuid=webhook_uuid,
        actor=principal.actor,
        is_enabled=is_enabled,
    )
    done = _("The webhook is enabled.") if is_enabled else _("The webhook is disabled.")
    messages.success(request, done)
    return redirect("webhook", webhook_uuid)


def _ask(
    request: HttpRequest,
    template: str,
    title: str,
    endpoint: WebhookEndpoint | None = None,
    **context: Any,
) -> HttpResponse:
    context = {"ask": template, "title": title, "endpoint": endpoint, **context}
    return render(request, "app/ask.html", context, status=400 if request.POST else 200)


def _secret(
    request: HttpRequest, secret: str, there: str, *, is_callback: bool = False
) -> HttpResponse:
    context = {"secret": secret, "there": there, "is_callback": is_callback}
    return render(request, "app/webhook_secret.html", context)
