"""What the engine of this machine can load, for operators: licences, hashes, measured speed."""

from dataclasses import dataclass
from typing import Final

from django.db import connection

from jobs.catalog import Recovered, quality_offers
from separation import catalog

# The latest jobs tell how fast a model is now; all of them would tell how fast it ever was.
_LATEST: Final = 2000

_SPEEDS = """
SELECT model, COUNT(*), SUM(audio_s) / NULLIF(SUM(run_s), 0) FROM (
  SELECT j.model,
    COALESCE(j.range_end - j.range_start, a.n_samples)::float8 / a.sample_rate AS audio_s,
    EXTRACT(EPOCH FROM j.finished_at - j.claimed_at)::float8 AS run_s
  FROM jobs_job j JOIN jobs_asset a ON a.id = j.asset_id
  WHERE j.state = 'succeeded' AND j.claimed_at IS NOT NULL AND j.model <> ''
  ORDER BY j.id DESC LIMIT %s) latest
GROUP BY model
"""


@dataclass(frozen=True)
class File:
    name: str
    sha256: str


@dataclass(frozen=True)
class Installed:
    """A model or tool of the catalogue, as this machine has it."""

    name: str
    title: str
    task: str
    is_installed: bool
    availability: str
    licence: str
    licence_summary: str
    commercial_use: bool
    source: str
    files: list[File]
    # Of the stems that were measured.
    quality: list[Recovered]
    # Seconds of audio for each second of work, of so many jobs; None before the first.
    speed: float | None = None
    n_jobs: int = 0


def packages_installed() -> list[Installed]:
    with connection.cursor() as cursor:
        cursor.execute(_SPEEDS, [_LATEST])
        speeds = {model: (speed, n_jobs) for model, n_jobs, speed in cursor.fetchall()}
    return [
        _installed(package, *speeds.get(package.name, (None, 0))) for package in catalog.packages()
    ]


def _installed(package: catalog.Package, speed: float | None, n_jobs: int) -> Installed:
    availability = catalog.availability(package)
    files = package.sources[0].files if package.sources else ()
    return Installed(
        name=package.name,
        title=package.title,
        task=package.task if isinstance(package, catalog.Tool) else "separation",
        is_installed=availability.is_installed,
        availability=availability.reason,
        licence=package.licence.id,
        licence_summary=package.licence.summary,
        commercial_use=package.licence.commercial_use,
        source=package.source_label,
        # Where none is known beforehand, the hub's own is trusted at the download.
        files=[File(file.name, file.sha256) for file in files if file.sha256],
        quality=quality_offers(package) if isinstance(package, catalog.Model) else [],
        speed=speed,
        n_jobs=n_jobs,
    )
