"""How much room listening copies take."""

from django.db import migrations, models

# As `Listening.offsets` and `Listening.peaks_bytes` have it: of both files.
_FILL = """
UPDATE jobs_listening SET size_bytes = (offsets ->> -1)::bigint
  + 2 * COALESCE((SELECT SUM(n::bigint) FROM jsonb_array_elements_text(peak_counts) n), 0)
WHERE state = 'ready' AND jsonb_array_length(offsets) > 0
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0016_workers")]
    operations = [
        migrations.AddField(
            "listening", "size_bytes", models.BigIntegerField(db_default=0, default=0)
        ),
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
    ]
