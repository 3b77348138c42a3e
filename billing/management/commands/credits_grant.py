import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.audit import OPERATOR
from accounts.models import Workspace
from billing.ledger import credits_grant
from billing.pricing import MCR_PER_CREDIT, OPERATOR_CREDITS_MAX, credits_parse, credits_text
from billing.selectors import debt_get, wallet_get
from config.errors import AppError

_MAX_DAYS = 36_500


class Command(BaseCommand):
    help = (
        "Grant credits to a workspace, by hand. It is written to the audit trail, with the reason."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workspace", type=UUID, help="the workspace's id")
        parser.add_argument("credits", help="like 100 or 12.345")
        parser.add_argument("--reason", required=True, help="why; kept in the ledger")
        parser.add_argument("--expires-days", type=int, help="they expire after so many days")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["expires_days"]
        if days is not None and not 0 < days <= _MAX_DAYS:
            raise CommandError(f"--expires-days must be between 1 and {_MAX_DAYS}.")
        workspace = Workspace.objects.filter(uuid=options["workspace"]).first()
        if workspace is None:
            raise CommandError("There is no such workspace.")
        try:
            amount_mcr = credits_parse(options["credits"])
            if amount_mcr > OPERATOR_CREDITS_MAX * MCR_PER_CREDIT or not amount_mcr:
                raise ValueError(f"grant between 0.001 and {OPERATOR_CREDITS_MAX} credits.")
            fact = credits_grant(
                workspace=workspace,
                amount_mcr=amount_mcr,
                source="operator",
                idempotency_key=f"operator:{uuid4()}",
                reason=options["reason"].strip(),
                expires_at=timezone.now() + timedelta(days=days) if days else None,
                actor=OPERATOR,
            )
        except (AppError, ValueError) as error:
            raise CommandError(f"Nothing was granted: {error}") from error
        available_mcr = wallet_get(workspace=workspace).available_mcr
        if options["json"]:
            told = {
                "transaction": str(fact.uuid),
                "amount_mcr": amount_mcr,
                "available_mcr": available_mcr,
                "debt_mcr": debt_get(workspace=workspace),
            }
            self.stdout.write(json.dumps(told))
        else:
            self.stdout.write(
                f"Granted {credits_text(amount_mcr)} credits; "
                f"{credits_text(available_mcr)} are available."
            )
