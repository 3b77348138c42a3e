from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from jobs.storage import StorageFailed, storage_bucket


class Command(BaseCommand):
    """Needs a key with more rights than the service's own (docs/storage.md). May be repeated."""

    help = "Make the bucket if it is missing, and give it the rules that the service needs."

    def handle(self, *args: Any, **options: Any) -> None:
        store = storage_bucket()
        if store is None:
            raise CommandError("Set STEMWRIGHT_S3_BUCKET first; now files are kept on disk.")
        from jobs.stores.care import bucket_setup

        try:
            for line in bucket_setup(store, site_url=settings.SITE_URL):
                self.stdout.write(line)
        except StorageFailed as error:
            raise CommandError(f"The bucket could not be set up: {error}.") from error
