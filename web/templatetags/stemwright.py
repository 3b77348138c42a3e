"""What templates of all pages share: `{% load stemwright %}`."""

from datetime import datetime
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.pricing import credits_of
from jobs.models import Ingest, Job
from web.stored_texts import failure_text, reason_text

register = template.Library()


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of static/vendor/lucide, as large as the text. Without a label it is decoration."""
    address = f"{static('vendor/lucide/icons.svg')}#{name}"
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}"></use></svg>',
            label,
            address,
        )
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"></use></svg>', address)


@register.filter
def credits(amount_mcr: int) -> str:
    """Milli-credits as credits: 27500 is 27.5."""
    return number_format(credits_of(amount_mcr), force_grouping=True)


@register.filter
def clock(seconds: float | None) -> str:
    """A length: 3:25, or 1:02:03."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """A point in time; static/js/shell.js shows it in the reader's way of writing."""
    if value is None:
        return ""
    text = date_format(timezone.localtime(value), "Y-m-d H:i T")
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), text)


@register.filter
def failure(row: Job | Ingest) -> str:
    """Why a job or an import failed, in the reader's language."""
    return failure_text(row)


@register.filter
def reason(text: str) -> str:
    """Why the service switched something off, in the reader's language."""
    return reason_text(text)


@register.simple_tag(takes_context=True)
def may(context: dict[str, Any], scope: str) -> bool:
    """Whether who is there may do this: `{% may "keys:write" as may_write %}`."""
    principal = getattr(context.get("request"), "principal", None)
    return principal is not None and scope in principal.scopes


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The query of this page with other values; a value of None or "" leaves one out."""
    values = context["request"].GET.copy()
    for name, value in changes.items():
        if value in (None, ""):
            values.pop(name, None)
        else:
            values[name] = str(value)
    return f"?{values.urlencode()}"
