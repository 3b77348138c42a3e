"""What is sold on a fresh installation; an operator may change the rows."""

from django.db import migrations

# Code, name, credits, cents.
_PACKS = [
    ("starter", "Starter", 10_000, 500),
    ("studio", "Studio", 50_000, 2_000),
    ("label", "Label", 250_000, 8_000),
]
_PLANS = [
    ("hobby", "Hobby", 20_000, 900),
    ("pro", "Pro", 150_000, 4_900),
]


def add(apps, schema_editor):
    Pack, Plan = apps.get_model("billing", "Pack"), apps.get_model("billing", "Plan")
    for position, (code, name, credits, cents) in enumerate(_PACKS):
        Pack.objects.create(
            code=code, name=name, credits_mcr=credits * 1000, price_cents=cents, position=position
        )
    for position, (code, name, credits, cents) in enumerate(_PLANS):
        Plan.objects.create(
            code=code, name=name, monthly_mcr=credits * 1000, price_cents=cents, position=position
        )


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_payments_in_step")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
