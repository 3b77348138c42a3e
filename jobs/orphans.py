"""Files in storage that no row knows of any more.

Rows come before their files and outlive them. Yet a process that was stopped, or cut off from the
database, may store something once more after all that its row had was swept.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

from django.utils import timezone

from jobs.models import Asset, AssetState, Ingest, Job, Listening, Mix
from jobs.storage import storage_keys

# Nobody who is at work now has been so for longer; clocks of storage may differ, too.
_AGE = timedelta(days=1)
_AT_ONCE = 1000
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# As in docs/storage.md. What has another name is somebody else's.
_KEY = re.compile(f"(?:(uploads|jobs|ingests|listening|mixes)/({_UUID})(?:/.+)?|readyz[/-]{_UUID})")


def orphans_find() -> Iterator[str]:
    """Keys of files older than a day that nobody will ask for, nor remove. Lists all of storage."""
    keys = (key for key in storage_keys(before=timezone.now() - _AGE) if _KEY.fullmatch(key))
    while batch := set(islice(keys, _AT_ONCE)):
        yield from sorted(batch - _known(batch))


def _known(keys: set[str]) -> set[str]:
    """Those that are somebody's file, or will be swept."""
    kept = Asset.objects.filter(storage_key__in=keys).exclude(state=AssetState.PURGED)
    owners = {key: match.groups() for key in keys if (match := _KEY.fullmatch(key))}
    uuids = {uuid for _, uuid in owners.values() if uuid}
    jobs = Job.objects.filter(uuid__in=uuids, swept_at=None).values_list("uuid", flat=True)
    ingests = Ingest.objects.filter(uuid__in=uuids, swept_at=None).values_list("uuid", flat=True)
    unswept = {("jobs", str(uuid)) for uuid in jobs} | {("ingests", str(uuid)) for uuid in ingests}
    listening = Listening.objects.filter(asset__uuid__in=uuids)
    mixes = Mix.objects.filter(uuid__in=uuids).values_list("uuid", flat=True)
    unswept |= {
        ("listening", str(uuid)) for uuid in listening.values_list("asset__uuid", flat=True)
    }
    unswept |= {("mixes", str(uuid)) for uuid in mixes}
    return {key for key, owner in owners.items() if owner in unswept} | set(
        kept.values_list("storage_key", flat=True)
    )
