"""What the console's templates share: `{% load console %}`."""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from web.app.audit_texts import data_lines
from web.console.navigation import console_links
from web.templatetags.stemwright import credits

register = template.Library()

# How a state looks; the word says the same.
_LOOKS = {
    "succeeded": "ok",
    "delivered": "ok",
    "paid": "ok",
    "approved": "ok",
    "ready": "ok",
    "active": "ok",
    "captured": "ok",
    "failed": "error",
    "rejected": "error",
    "running": "info",
    "waiting": "info",
    "queued": "info",
    "receiving": "info",
    "pending": "warn",
}


@register.simple_tag(takes_context=True)
def console_navigation(context: dict[str, Any]) -> list[dict[str, object]]:
    return console_links(context["request"])


@register.filter
def told(data: dict[str, Any]) -> list[tuple[str, str]]:
    """What an entry of the audit log has noted, name by name."""
    return data_lines(data)


@register.filter
def state_badge(state: str) -> SafeString:
    return format_html('<span class="badge {}">{}</span>', _LOOKS.get(state, ""), state)


@register.filter
def signed_credits(amount_mcr: int) -> str:
    """With its sign, as a ledger shows it."""
    return f"+{credits(amount_mcr)}" if amount_mcr > 0 else credits(amount_mcr)
