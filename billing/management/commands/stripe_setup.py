from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.management.stripe_errors import told_to_operators
from billing.stripe_client import API_VERSION, webhook_endpoint_put
from billing.stripe_events import HANDLERS


class Command(BaseCommand):
    help = "Have Stripe send its events here. The secret of a new endpoint is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", required=True, help="https://<host>/stripe/webhook")

    def handle(self, *args: Any, **options: Any) -> None:
        url = options["url"]
        if not url.startswith("https://") or not url.endswith("/stripe/webhook"):
            raise CommandError("--url must be https://<host>/stripe/webhook")
        with told_to_operators():
            secret = webhook_endpoint_put(url=url, events=sorted(HANDLERS))
        self.stdout.write(f"{len(HANDLERS)} kinds of events of version {API_VERSION} go to {url}")
        if secret:
            self.stdout.write(f"STRIPE_WEBHOOK_SECRETS={secret}")
        else:
            self.stdout.write("The endpoint was there; its secret stays.")
