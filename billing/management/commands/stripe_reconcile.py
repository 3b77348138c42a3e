from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.management.stripe_errors import told_to_operators
from billing.payment_reconciling import payment_checks_left, payments_reconcile


class Command(BaseCommand):
    help = "Look at Stripe for payments of the last four days that were missed, and settle them."

    def handle(self, *args: Any, **options: Any) -> None:
        with told_to_operators():
            found = payments_reconcile()
        for finding in found:
            self.stdout.write(finding)
        self.stdout.write(f"{len(found)} missed payments")
        if left := payment_checks_left():
            raise CommandError(f"{left} could not be looked at yet; try again a little later.")
