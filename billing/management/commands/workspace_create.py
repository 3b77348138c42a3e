import json
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.api_keys import api_key_create
from accounts.audit import OPERATOR
from accounts.workspaces import workspace_create
from billing.ledger import credits_grant
from billing.pricing import MCR_PER_CREDIT, OPERATOR_CREDITS_MAX


class Command(BaseCommand):
    help = "Make a workspace with credits and an API key. The key is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--credits", type=int, default=0, help="whole credits to grant")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["name"].strip():
            raise CommandError("--name must not be empty.")
        if not 0 <= options["credits"] <= OPERATOR_CREDITS_MAX:
            raise CommandError(f"--credits must be between 0 and {OPERATOR_CREDITS_MAX}.")
        with transaction.atomic():
            workspace = workspace_create(name=options["name"], actor=OPERATOR)
            _, key = api_key_create(workspace=workspace, name="First key", actor=OPERATOR)
            if options["credits"]:
                credits_grant(
                    workspace=workspace,
                    amount_mcr=options["credits"] * MCR_PER_CREDIT,
                    source="operator",
                    idempotency_key=f"workspace_create:{uuid4()}",
                    reason="First credits",
                    actor=OPERATOR,
                )
        if options["json"]:
            self.stdout.write(json.dumps({"workspace": str(workspace.uuid), "key": key}))
        else:
            self.stdout.write(f"Workspace {workspace.uuid}\nAPI key   {key}")
