"""Recordings from video sites, by yt-dlp: an extra that operators turn on, and limit to sites."""

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import structlog
from django.conf import settings

from config.errors import AddressRefused
from jobs import video_child
from jobs.children import ChildOverflow, ChildOverTime, child_run
from jobs.filenames import plain_filename
from jobs.outbound import Downloaded, OutboundFailed

log = structlog.get_logger(__name__)

_ROOT = Path(__file__).resolve().parent.parent
_ANSWER_MAX_BYTES = 64 * 1024


def video_download(url: str, *, path: Path, on_tick: Callable[[], None]) -> Downloaded | None:
    """Fetch the sound of a video to `path`; None if no allowed extractor knows the address.

    Raises AddressRefused and OutboundFailed.
    """
    if not settings.VIDEO_IMPORTS:
        return None
    folder = path.parent / "video"
    folder.mkdir()
    request = video_child.Request(
        url=url,
        folder=str(folder),
        extractors=settings.VIDEO_EXTRACTORS,
        opened=[str(network) for network in settings.OUTBOUND_ALLOW],
        ports=settings.OUTBOUND_PORTS,
        max_bytes=settings.UPLOAD_MAX_BYTES,
        memory_bytes=settings.PROBE_MEMORY_BYTES,
        cpu_s=settings.IMPORT_FETCH_SECONDS,
        parent=os.getpid(),
    )
    answer = _ask(request, on_tick)
    outcome = answer.get("outcome")
    if outcome == "unsuitable":
        return None
    if outcome == "refused":
        raise AddressRefused
    if outcome == "too_large":
        raise OutboundFailed("too_large", is_permanent=True)
    if outcome != "fetched":
        raise OutboundFailed("bad_answer")
    (folder / video_child.FILENAME).rename(path)
    return Downloaded(
        filename=plain_filename(str(answer.get("filename", "")).replace("/", "-")),
        content_type="",
        size_bytes=path.stat().st_size,
    )


def _ask(request: video_child.Request, on_tick: Callable[[], None]) -> dict[str, object]:
    # It may be installed elsewhere than this environment's own packages.
    spec = importlib.util.find_spec("yt_dlp")
    packages = str(Path(spec.origin).parent.parent) if spec and spec.origin else ""
    try:
        end = child_run(
            [sys.executable, "-m", _module(), json.dumps(asdict(request))],
            folder=_ROOT,
            total_s=settings.IMPORT_FETCH_SECONDS,
            max_output_bytes=_ANSWER_MAX_BYTES,
            environ={"PYTHONPATH": packages, "HOME": request.folder},
            on_tick=on_tick,
        )
        answer = json.loads(end.output) if end.returncode == 0 else {}
    except ChildOverTime:
        raise OutboundFailed("timeout") from None
    except (ChildOverflow, ValueError):
        raise OutboundFailed("bad_answer", is_permanent=True) from None
    if end.returncode != 0:
        log.warning("video_child_failed", returncode=end.returncode)
    return answer if isinstance(answer, dict) else {}


def _module() -> str:
    return video_child.__name__
