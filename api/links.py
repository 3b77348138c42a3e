"""Links that open a file without a key, for a while. Every API gives out the same ones.

An answer has links to the host that was asked (`…_url`); what is told without being asked has links
to the address of this installation (`…_link`). `days`, at most 14, is how long a link holds where
an API promises more than the hour of others. The file may be gone earlier.
"""

from functools import cache

from django.conf import settings
from django.urls import reverse
from rest_framework.request import Request

from jobs.archives import archive_token
from jobs.models import Asset, Job
from jobs.storage import download_token
from jobs.timeline_texts import timeline_token


def asset_url(asset: Asset, *, request: Request, days: int | None = None) -> str:
    """Where a recording, stem, track or clip is downloaded."""
    return str(request.build_absolute_uri(_asset_path(asset, days)))


def asset_link(asset: Asset, *, days: int | None = None) -> str:
    """As `asset_url`, for messages."""
    return _site(_asset_path(asset, days))


def timeline_url(job: Job, *, format_name: str, request: Request, days: int | None = None) -> str:
    """Where it is downloaded who speaks when, in one of TIMELINE_FORMATS."""
    return str(request.build_absolute_uri(_timeline_path(job, format_name, days)))


def timeline_link(job: Job, *, format_name: str, days: int | None = None) -> str:
    """As `timeline_url`, for messages."""
    return _site(_timeline_path(job, format_name, days))


def archive_url(job: Job, *, request: Request, days: int | None = None) -> str:
    """Where all that a job made is downloaded as one zip."""
    return str(request.build_absolute_uri(_archive_path(job, days)))


def archive_link(job: Job, *, days: int | None = None) -> str:
    """As `archive_url`, for messages."""
    return _site(_archive_path(job, days))


def _archive_path(job: Job, days: int | None) -> str:
    token = archive_token(job, seconds=_seconds(days))
    return _route("native-archive-download") + token


def _asset_path(asset: Asset, days: int | None) -> str:
    return _route("native-download") + download_token(str(asset.uuid), _seconds(days))


def _timeline_path(job: Job, format_name: str, days: int | None) -> str:
    token = timeline_token(job, format_name=format_name, seconds=_seconds(days))
    return _route("native-timeline-download") + token


@cache
def _route(name: str) -> str:
    """The path that a token ends; an answer may hold many."""
    return reverse(name, args=["-"]).removesuffix("-")


def _seconds(days: int | None) -> int | None:
    return None if days is None else days * 24 * 3600


def _site(path: str) -> str:
    return str(settings.SITE_URL).rstrip("/") + path
