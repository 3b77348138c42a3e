from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from jobs.storage import storage_bucket, storage_probe


class Command(BaseCommand):
    """Ends with an error if something has to be done."""

    help = "Look whether storage is what the service needs: reachable, private, cleaned up."

    def handle(self, *args: Any, **options: Any) -> None:
        store = storage_bucket()
        if store is None:
            self._check_disk()
            return
        from jobs.stores.care import bucket_check

        problems = 0
        for finding in bucket_check(store, site_url=settings.SITE_URL):
            problems += not finding.is_good
            self.stdout.write(f"{'ok     ' if finding.is_good else 'PROBLEM'}  {finding.text}")
        if problems:
            raise CommandError(f"{problems} of these need something done.")

    def _check_disk(self) -> None:
        try:
            storage_probe()
        except OSError as error:
            raise CommandError(
                f"Files cannot be kept in {settings.MEDIA_ROOT}: {error}."
            ) from error
        self.stdout.write(f"ok       Files are kept on disk, in {settings.MEDIA_ROOT}.")
