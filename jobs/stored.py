"""How much is stored, by what it is: of one workspace, or of all."""

from typing import Final, NamedTuple

from django.db import connection

from accounts.models import Workspace

KINDS: Final = ("recordings", "results", "listening", "mixes")


class Stored(NamedTuple):
    files: int
    size_bytes: int


# What is on its way out counts until it is gone. A listening copy has two files.
_STORED = """
SELECT CASE WHEN job_id IS NULL THEN 'recordings' ELSE 'results' END AS kind,
  COUNT(*), COALESCE(SUM(size_bytes), 0)::bigint
  FROM jobs_asset WHERE state <> 'purged' {whose} GROUP BY 1
UNION ALL
SELECT 'listening', 2 * COUNT(*), COALESCE(SUM(size_bytes), 0)::bigint
  FROM jobs_listening WHERE state = 'ready' {whose}
UNION ALL
SELECT 'mixes', COUNT(*), COALESCE(SUM(size_bytes), 0)::bigint
  FROM jobs_mix WHERE state = 'ready' {whose}
"""


def stored_get(*, workspace: Workspace | None = None) -> dict[str, Stored]:
    """By kind; of all workspaces, if none is named."""
    whose = "" if workspace is None else "AND workspace_id = %(workspace)s"
    with connection.cursor() as cursor:
        cursor.execute(
            _STORED.format(whose=whose), {"workspace": workspace.pk} if workspace else None
        )
        rows = cursor.fetchall()
    return {kind: Stored(0, 0) for kind in KINDS} | {
        kind: Stored(int(files), int(size)) for kind, files, size in rows
    }


def stored_sum(*, workspace: Workspace) -> Stored:
    stored = stored_get(workspace=workspace).values()
    return Stored(sum(one.files for one in stored), sum(one.size_bytes for one in stored))
