"""The prices of the services that the outside APIs sell; docs/pricing.md explains them."""

from datetime import UTC, datetime

from django.db import migrations

_ALWAYS = datetime(2026, 1, 1, tzinfo=UTC)
# Service, unit, milli-credits, for how many units.
_PRICES = [
    ("speaker_extraction", "per_second", 27_500, 1),
    ("two_stem_separation", "per_call", 10_000, 1),
    ("full_split", "per_call", 50_000, 1),
    ("vocal_range_extraction", "per_call", 1_000, 1),
    # 13.52 milli-credits: 5.55 credits for three stems of 136.83 s.
    ("stem_extraction", "per_second_and_stem", 1_352, 100),
]


def add_prices(apps, schema_editor):
    Price = apps.get_model("billing", "Price")
    for service, unit, amount_mcr, quantity in _PRICES:
        Price.objects.create(
            service=service,
            unit=unit,
            amount_mcr=amount_mcr,
            quantity=quantity,
            effective_from=_ALWAYS,
        )


def remove_prices(apps, schema_editor):
    services = [service for service, _, _, _ in _PRICES]
    apps.get_model("billing", "Price").objects.filter(service__in=services).delete()


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_prices_debt_payments")]
    operations = [migrations.RunPython(add_prices, remove_prices)]
