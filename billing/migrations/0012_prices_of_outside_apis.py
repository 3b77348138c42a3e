"""The prices of more services, and of what the outside APIs sell; docs/pricing.md explains them."""

from datetime import UTC, datetime

from django.db import migrations

_ALWAYS = datetime(2026, 1, 1, tzinfo=UTC)
# Service, unit, milli-credits, for how many units.
_PRICES = [
    ("speaker_diarization", "per_second", 27_500, 1),
    ("enhancement", "per_second", 1_000, 1),
    ("analysis", "per_second", 100, 1),
    ("transcription", "per_second", 500, 1),
    ("conversion", "per_second", 50, 1),
    ("separation_by_mode", "per_second", 16_500, 1),
    ("speech_denoising", "per_second", 5_500, 1),
    ("two_stem_set", "per_call", 15_000, 1),
    ("all_stem_set", "per_call", 50_000, 1),
    ("tempo_of_clip", "per_call", 1_000, 1),
    ("notes_of_clip", "per_call", 1_000, 1),
    ("wav_of_clip", "per_call", 1_000, 1),
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
    dependencies = [("billing", "0011_plan_runs_jobs")]
    operations = [migrations.RunPython(add_prices, remove_prices)]
