import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from api.descriptions import DESCRIBED, description


class Command(BaseCommand):
    help = "Print the description (OpenAPI) of an API, or check those of all."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", choices=list(DESCRIBED))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["name"]:
            self.stdout.write(json.dumps(description(options["name"]), indent=2))
            return
        for name in DESCRIBED:
            validate_schema(description(name))  # type: ignore[no-untyped-call]
        if GENERATOR_STATS:
            GENERATOR_STATS.emit_summary()
            raise CommandError("The descriptions are made with warnings; see above.")
