from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.reconciling import ledger_reconcile


class Command(BaseCommand):
    help = "Check that every balance is the sum of its parts; fails when one is not."

    def handle(self, *args: Any, **options: Any) -> None:
        found = ledger_reconcile().discrepancies
        for sentence, row_id in found:
            self.stderr.write(f"{sentence}: {row_id}")
        if found:
            raise CommandError(f"{len(found)} discrepancies in the ledger.")
        self.stdout.write("0 discrepancies")
