"""The prices that Stemwright ships with; docs/pricing.md explains them."""

from datetime import UTC, datetime

from django.db import migrations

_ALWAYS = datetime(2026, 1, 1, tzinfo=UTC)
_PRICES = [("separation", "per_second", 2_500)]


def add_prices(apps, schema_editor):
    Price = apps.get_model("billing", "Price")
    for service, unit, amount_mcr in _PRICES:
        Price.objects.create(
            service=service, unit=unit, amount_mcr=amount_mcr, effective_from=_ALWAYS
        )


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_ledger_rules")]
    operations = [migrations.RunPython(add_prices, migrations.RunPython.noop)]
