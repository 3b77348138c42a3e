"""Money and prices in templates: `{% load money %}`."""

from typing import Any

from django import template
from django.utils.formats import number_format

from web.calculator import Calculator, calculator_of
from web.money import money_text
from web.service_names import service_name as name_of

register = template.Library()


@register.filter
def money(cents: int, currency: str) -> str:
    """`{{ pack.price_cents|money:pack.currency }}`: 5.00 USD."""
    return money_text(cents, currency)


@register.filter
def thousands(number: int) -> str:
    """1234567 is 1,234,567."""
    return number_format(number, force_grouping=True)


@register.filter
def service_name(service: str) -> str:
    return name_of(service)


@register.simple_tag(takes_context=True)
def calculator_here(context: dict[str, Any]) -> Calculator:
    """The calculator, with what the address of the page asks it."""
    return context.get("calculator") or calculator_of(context["request"])
