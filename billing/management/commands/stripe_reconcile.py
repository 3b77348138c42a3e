from typing import Any

from django.core.management.base import BaseCommand

from billing.payment_reconciling import payments_reconcile


class Command(BaseCommand):
    help = "Look at Stripe for payments of the last four days that were missed, and settle them."

    def handle(self, *args: Any, **options: Any) -> None:
        found = payments_reconcile()
        for object_id in found:
            self.stdout.write(f"settled {object_id}")
        self.stdout.write(f"{len(found)} missed payments")
