"""Indexes that are built while jobs come and go."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import F, Func, Q


class AddIndexAgain(AddIndexConcurrently):
    """Also after one that was broken off, which leaves an index that is of no use."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{self.index.name}"')
        super().database_forwards(app_label, schema_editor, from_state, to_state)


def _trigrams(name):
    return Func(F(name), function="jobs_trigrams", output_field=ArrayField(models.TextField()))


class Migration(migrations.Migration):
    # What is built concurrently cannot be in a transaction.
    atomic = False
    dependencies = [("jobs", "0014_names_and_orderers")]
    operations = [
        AddIndexAgain(
            "job",
            models.Index(
                fields=["ordered_by", "-id"],
                name="job_by_person",
                condition=Q(ordered_by__isnull=False),
            ),
        ),
        AddIndexAgain(
            "job",
            models.Index(
                fields=["workspace", "-id"],
                name="job_without_recording",
                condition=Q(asset__isnull=True),
            ),
        ),
        AddIndexAgain(
            "job", GinIndex(_trigrams("name"), name="job_by_name", condition=~Q(name=""))
        ),
        AddIndexAgain(
            "asset",
            GinIndex(_trigrams("filename"), name="asset_by_name", condition=Q(state="ready")),
        ),
    ]
