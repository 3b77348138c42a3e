"""Files from before there was retention expire too, but nobody loses them without notice."""

from django.conf import settings
from django.db import migrations

_NOTICE_DAYS = 7
_SQL = """
UPDATE jobs_asset a SET expires_at = GREATEST(
  a.created_at + MAKE_INTERVAL(days => CASE WHEN a.job_id IS NULL
    THEN COALESCE(NULLIF(p.uploads_days, 0), %(uploads_days)s)
    ELSE COALESCE(NULLIF(p.results_days, 0), %(results_days)s) END),
  STATEMENT_TIMESTAMP() + MAKE_INTERVAL(days => %(notice_days)s))
FROM accounts_workspace w LEFT JOIN (
  SELECT DISTINCT ON (s.workspace_id) s.workspace_id, p.uploads_days, p.results_days
    FROM billing_subscription s JOIN billing_plan p ON p.id = s.plan_id
    WHERE s.status IN ('active', 'trialing', 'past_due')
    ORDER BY s.workspace_id, s.id DESC
) p ON p.workspace_id = w.id
WHERE w.id = a.workspace_id AND a.state = 'ready' AND a.expires_at IS NULL
"""


def set_expiry(apps, schema_editor):
    values = {
        "uploads_days": settings.UPLOADS_DAYS,
        "results_days": settings.RESULTS_DAYS,
        "notice_days": _NOTICE_DAYS,
    }
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_SQL, values)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0007_webhook_turns"),
        ("billing", "0010_shipped_plan_limits"),
    ]
    operations = [migrations.RunPython(set_expiry, migrations.RunPython.noop)]
