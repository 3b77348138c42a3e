"""Each of these takes a moment, however large the table is."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# What jobs/models/trigrams.py says. It is in an index: another one needs another name.
_TRIGRAMS = """
CREATE FUNCTION jobs_trigrams(whole text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT COALESCE(ARRAY_AGG(DISTINCT SUBSTR(t.low, n, 3)), '{}'::text[])
    FROM (SELECT LOWER(whole) AS low) t, GENERATE_SERIES(1, LENGTH(t.low) - 2) n
$$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0013_listening_mixes_shares"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AddField(
            model_name="job",
            name="name",
            field=models.CharField(blank=True, db_default="", default="", max_length=255),
        ),
        migrations.AddField(
            model_name="job",
            name="ordered_by",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunSQL(_TRIGRAMS, "DROP FUNCTION jobs_trigrams(text)"),
    ]
