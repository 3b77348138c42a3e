"""What is sold for money."""

from django.db.models import QuerySet

from billing.models import Pack, Plan
from config.errors import NotForSale, UnknownPack, UnknownPlan


def packs_list() -> QuerySet[Pack]:
    return Pack.objects.filter(is_active=True).order_by("position", "pk")


def plans_list() -> QuerySet[Plan]:
    return Plan.objects.filter(is_active=True).order_by("position", "pk")


def pack_get(*, code: str) -> Pack:
    pack = Pack.objects.filter(code=code).first()
    if pack is None:
        raise UnknownPack
    if not pack.is_active:
        raise NotForSale
    return pack


def plan_get(*, code: str) -> Plan:
    plan = Plan.objects.filter(code=code).first()
    if plan is None:
        raise UnknownPlan
    if not plan.is_active:
        raise NotForSale
    return plan
