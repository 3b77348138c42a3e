"""Rules that a constraint cannot hold: entries balance, and what is written stays written."""

from django.db import migrations

_BALANCE = """
CREATE FUNCTION billing_transaction_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE total bigint;
BEGIN
  SELECT sum(amount_mcr) INTO total FROM billing_entry WHERE transaction_id = NEW.transaction_id;
  IF total <> 0 THEN
    RAISE EXCEPTION 'entries of transaction % sum to %, not 0', NEW.transaction_id, total
      USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_transaction_balances';
  END IF;
  RETURN NULL;
END $$;
-- Deferred: the entries of a transaction are written one after another.
CREATE CONSTRAINT TRIGGER entry_transaction_balances AFTER INSERT ON billing_entry
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_transaction_balances();
"""

_APPEND_ONLY = """
CREATE FUNCTION billing_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: correct it with a new row', TG_TABLE_NAME
    USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_append_only';
END $$;
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON billing_entry
  FOR EACH ROW EXECUTE FUNCTION billing_append_only();
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON billing_transaction
  FOR EACH ROW EXECUTE FUNCTION billing_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    operations = [
        migrations.RunSQL(
            _BALANCE,
            "DROP TRIGGER entry_transaction_balances ON billing_entry;"
            "DROP FUNCTION billing_transaction_balances();",
        ),
        migrations.RunSQL(
            _APPEND_ONLY,
            "DROP TRIGGER ledger_append_only ON billing_entry;"
            "DROP TRIGGER ledger_append_only ON billing_transaction;"
            "DROP FUNCTION billing_append_only();",
        ),
    ]
