"""Links that open a file without a key, for a while. Every API gives out the same ones."""

from django.urls import reverse
from rest_framework.request import Request

from jobs.models import Asset, Job
from jobs.storage import download_token
from jobs.timeline_texts import timeline_token


def asset_url(asset: Asset, *, request: Request) -> str:
    """Where a recording, stem, track or clip is downloaded."""
    return _url("native-download", download_token(str(asset.uuid)), request)


def timeline_url(job: Job, *, format_name: str, request: Request) -> str:
    """Where it is downloaded who speaks when, in one of TIMELINE_FORMATS."""
    return _url("native-timeline-download", timeline_token(job, format_name=format_name), request)


def _url(route: str, token: str, request: Request) -> str:
    return str(request.build_absolute_uri(reverse(route, args=[token])))
