"""Asking again until something is so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from stemwright import _http
from stemwright._watching import Deadline
from stemwright.errors import Gone, UploadFailed
from stemwright.models import Asset, Import, Upload

Value = TypeVar("Value")

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


def poll(look: Callable[[], Value | None], *, timeout_s: float | None) -> Value:
    """What `look` finds, with pauses that grow while it finds nothing.

    Raises
    ------
    WaitTimeout
        It found nothing within `timeout_s`.
    """
    pause_s = _FIRST_PAUSE_S
    deadline = Deadline(timeout_s)
    while (found := look()) is None:
        _http.sleep(deadline.left_s(pause_s))
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
    return found


def recording_of(ingest: Upload | Import) -> Asset | None:
    """None while it is still worked on."""
    if ingest.asset is not None:
        return ingest.asset
    if ingest.state == "ready":
        raise Gone("The recording has been deleted meanwhile.", code="recording_gone")
    if ingest.state in ("failed", "cancelled"):
        raise UploadFailed(ingest)
    return None
