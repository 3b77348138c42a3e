"""What the shipped plans allow; plans that an operator has changed stay as they are."""

from django.db import migrations

# Code, jobs at the same time, days that results and uploads are kept (None: as the settings say).
_LIMITS = [("hobby", 4, None, None), ("pro", 16, 30, 7)]


def add(apps, schema_editor):
    Plan = apps.get_model("billing", "Plan")
    for code, parallel_jobs, results_days, uploads_days in _LIMITS:
        Plan.objects.filter(
            code=code, parallel_jobs=None, results_days=None, uploads_days=None
        ).update(
            parallel_jobs=parallel_jobs, results_days=results_days, uploads_days=uploads_days
        )


class Migration(migrations.Migration):
    dependencies = [("billing", "0009_plan_limits")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
