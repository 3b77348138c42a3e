"""Where workers keep files while they run. A killed worker cannot tidy up: the next one does."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from jobs.models import (
    Derived,
    DerivedState,
    Ingest,
    IngestState,
    Job,
    JobState,
    Listening,
    Mix,
)

# The folder may be one that others use too: what does not look like an attempt's is not ours.
_ATTEMPT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.\d+")


@contextmanager
def scratch_folder(work: Job | Ingest | Derived) -> Iterator[Path]:
    """A folder of this attempt's own, on this machine, for as long as the block runs."""
    remove_leftovers()
    folder = settings.SCRATCH_DIR / f"{work.uuid}.{work.attempt}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers() -> None:
    """Remove the folders of attempts that run no more; other workers may run beside this one."""
    if not settings.SCRATCH_DIR.is_dir():
        return
    # Listed before the rows are read: an attempt that starts in between is not listed.
    folders = [path for path in settings.SCRATCH_DIR.iterdir() if _ATTEMPT.fullmatch(path.name)]
    running = {
        f"{uuid}.{attempt}"
        for rows in (
            Job.objects.filter(state=JobState.RUNNING),
            Ingest.objects.filter(state=IngestState.RUNNING),
            Listening.objects.filter(state=DerivedState.RUNNING),
            Mix.objects.filter(state=DerivedState.RUNNING),
        )
        for uuid, attempt in rows.values_list("uuid", "attempt")
    }
    for folder in folders:
        if folder.name not in running:
            shutil.rmtree(folder, ignore_errors=True)
