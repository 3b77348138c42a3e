from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from jobs.queue import DEFAULT, IMPORTS, SEPARATION
from jobs.supervisor import supervise


class Command(BaseCommand):
    """Not `qcluster` itself, which can hang as a whole without noticing."""

    help = "Run a cluster of workers, and start it anew when it hangs or ends. SIGTERM stops it."
    # They are for `migrate` and the tests; a start after a fault must be quick.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=[SEPARATION, IMPORTS, DEFAULT])

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        supervise(name)
