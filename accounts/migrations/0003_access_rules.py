"""What a model cannot say: the audit trail is append-only, counts of calls are not logged."""

from django.core.management import call_command
from django.db import migrations

_APPEND_ONLY = """
CREATE FUNCTION accounts_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
    USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_append_only';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON accounts_auditevent
  FOR EACH ROW EXECUTE FUNCTION accounts_append_only();
"""


def create_cache_table(apps, schema_editor):
    # The default cache is a table, so that all processes share it.
    call_command("createcachetable", database=schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_people_access_audit")]
    operations = [
        migrations.RunSQL(
            _APPEND_ONLY,
            "DROP TRIGGER audit_append_only ON accounts_auditevent;"
            "DROP FUNCTION accounts_append_only();",
        ),
        # Counting a call must not wait for the disk; after a crash the counts begin anew.
        migrations.RunSQL(
            "ALTER TABLE accounts_ratewindow SET UNLOGGED",
            "ALTER TABLE accounts_ratewindow SET LOGGED",
        ),
        migrations.RunPython(create_cache_table, migrations.RunPython.noop),
    ]
