from typing import Any

from django.core.management.base import BaseCommand

from billing.payment_reconciling import payments_reconcile


class Command(BaseCommand):
    help = "Look at Stripe for payments of the last four days that were missed, and settle them."

    def handle(self, *args: Any, **options: Any) -> None:
        found = payments_reconcile()
        for finding in found:
            self.stdout.write(finding)
        self.stdout.write(f"{len(found)} missed payments")
