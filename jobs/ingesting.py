"""Making recordings of what comes in: fetched or put together, decoded once, stored."""

from pathlib import Path

import structlog
from django.conf import settings
from django.db.utils import Error as DatabaseError

from config.errors import AppError, TooLarge
from jobs.heartbeat import Heartbeat, StopRequested, TimeLimitReached
from jobs.ingest_leases import (
    ingest_claim,
    ingest_fail,
    ingest_hand_back,
    ingest_retry_or_fail,
    ingest_succeed,
)
from jobs.leases import LeaseLost
from jobs.logs import ingest_context
from jobs.models import Ingest, IngestKind
from jobs.outbound import OutboundFailed, outbound_download
from jobs.receiving import ingest_collect
from jobs.scratch import scratch_folder
from jobs.services import asset_create
from jobs.settling import connection_renew, settle
from jobs.videos import video_download

log = structlog.get_logger(__name__)

_MESSAGES = {
    "timeout": "Fetching the file took too long.",
    "connection_failed": "The server of this address could not be reached.",
    "tls_failed": "The server of this address has no valid certificate.",
    "too_many_redirects": "The address leads from one to the next too many times.",
    "bad_answer": "The server of this address did not answer with a file.",
}


def run_next_ingest() -> bool:
    """Claim something that came in and see to it; False when nothing waits."""
    ingest = ingest_claim()
    if ingest is None:
        return False
    with ingest_context(ingest):
        ingest_run(ingest)
    return True


def ingest_run(ingest: Ingest) -> None:
    """See to what was claimed. Whatever goes wrong ends in the row, never in the caller."""
    # Its address may hold secrets: it is in no line of the log.
    log.info("ingest_started", kind=ingest.kind)
    try:
        try:
            with Heartbeat(ingest) as heartbeat, scratch_folder(ingest) as folder:
                _make_asset(ingest, folder / "recording", heartbeat)
        except (LeaseLost, DatabaseError):
            raise
        except Exception as error:
            _end_badly(ingest, error)
        else:
            log.info("ingest_succeeded")
    except LeaseLost:
        # It was cancelled, or given to another. What was stored has been deleted already.
        log.warning("ingest_lease_lost")
    except DatabaseError:
        # Nothing can be written now. The lease will end, and another attempt will follow.
        log.exception("ingest_left_to_the_reaper")


def _make_asset(ingest: Ingest, path: Path, heartbeat: Heartbeat) -> None:
    if ingest.kind == IngestKind.URL:
        _fetch(ingest, path, heartbeat)
    else:
        ingest_collect(ingest, path=path, on_tick=heartbeat.check)
    heartbeat.check()
    connection_renew()
    asset_create(
        workspace=ingest.workspace,
        filename=ingest.filename,
        path=path,
        on_tick=heartbeat.check,
        on_ready=lambda asset: ingest_succeed(ingest, asset=asset),
    )


def _fetch(ingest: Ingest, path: Path, heartbeat: Heartbeat) -> None:
    def on_bytes(n_bytes: int) -> None:
        # The next beat writes it down.
        ingest.received_bytes = n_bytes
        heartbeat.check()

    downloaded = video_download(
        ingest.url, path=path, on_tick=heartbeat.check
    ) or outbound_download(
        ingest.url,
        path=path,
        max_bytes=settings.UPLOAD_MAX_BYTES,
        total_s=settings.IMPORT_FETCH_SECONDS,
        on_bytes=on_bytes,
    )
    ingest.filename = ingest.filename or downloaded.filename


def _end_badly(ingest: Ingest, error: Exception) -> None:
    match error:
        case StopRequested():
            settle(lambda: ingest_hand_back(ingest))
            log.info("ingest_handed_back")
        case TimeLimitReached():
            _retry(ingest, "timeout", _MESSAGES["timeout"])
        case OutboundFailed(is_permanent=True):
            _fail(ingest, error.code, _fetch_message(error))
        case OutboundFailed():
            _retry(ingest, error.code, _fetch_message(error))
        case AppError() if error.status < 500:
            _fail(ingest, error.code, error.english)
        case AppError():
            _retry(ingest, error.code, error.english)
        case OSError():
            # Storage or the disk: another attempt may find it well again.
            log.error("ingest_storage_failed", exc_info=error)
            _retry(ingest, "storage", "Files could not be stored.")
        case _:
            log.error("ingest_broke", exc_info=error)
            _fail(ingest, "internal", AppError().english)


def _fetch_message(error: OutboundFailed) -> str:
    if error.status_code is not None and error.code == "bad_answer":
        return f"The server of this address answered {error.status_code} instead of a file."
    return _MESSAGES.get(error.code, TooLarge().english)


def _fail(ingest: Ingest, code: str, message: str) -> None:
    settle(lambda: ingest_fail(ingest, code=code, message=message))
    log.info("ingest_failed", code=code)


def _retry(ingest: Ingest, code: str, message: str) -> None:
    settle(lambda: ingest_retry_or_fail(ingest, code=code, message=message))
    log.warning("ingest_attempt_failed", code=code)
