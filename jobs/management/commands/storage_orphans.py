from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.orphans import orphans_find
from jobs.storage import storage_delete


class Command(BaseCommand):
    """Reads the names of all files: for once a week, not for every hour."""

    help = "Look for files in storage, older than a day, that the database knows nothing of."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--delete", action="store_true", help="delete them, for good")
        parser.add_argument("--at-most", type=int, default=1000, help="stop after so many (1000)")

    def handle(self, *args: Any, delete: bool, at_most: int, **options: Any) -> None:
        try:
            # Listed before any is deleted: no page of the list may begin at one that is gone.
            keys = list(islice(orphans_find(), at_most))
            for key in keys:
                if delete:
                    storage_delete(key=key)
                self.stdout.write(key)
        except OSError as error:
            raise CommandError(f"Storage failed: {error}.") from error
        what = "Deleted" if delete else "Found"
        more = "; there may be more" if len(keys) == at_most else ""
        self.stdout.write(f"{what} {len(keys)} files that nobody knows of{more}.")
