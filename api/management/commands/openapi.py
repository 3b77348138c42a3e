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
        wrong = []
        for name in DESCRIBED:
            validate_schema(description(name, anew=True))  # type: ignore[no-untyped-call]
            # Each begins to count anew.
            if GENERATOR_STATS:
                wrong.append(name)
        if wrong:
            raise CommandError(f"Made with warnings (see above): {', '.join(wrong)}.")
