"""After the faults: all work comes to its end, and everything stops."""

import time

import psutil
from django.db.models.functions import Now

from jobs.cleaning import has_files_to_clean
from jobs.models import ENDED, Job, MessageState, WebhookMessage
from tests.faults.orders import Callers, persistent
from tests.faults.parts import Program

_LOOK_EVERY_S = 0.5


def wait_for_all(callers: Callers, number: int, *, patience_s: float) -> float:
    """Until every job has ended, everybody was told and nothing is left to remove; how long it
    took. Gives up after a while: the checks say what is missing."""
    started = time.monotonic()
    while time.monotonic() - started < patience_s:
        callers.order_some(number)
        if len(callers.ordered) >= number and persistent(_is_settled):
            break
        time.sleep(_LOOK_EVERY_S)
    return round(time.monotonic() - started, 1)


def _is_settled() -> bool:
    if Job.objects.exclude(state__in=ENDED).exists():
        return False
    waiting = WebhookMessage.objects.filter(state=MessageState.PENDING)
    if waiting.exists():
        # The second retry comes after five minutes: let them pass.
        waiting.filter(lease_until=None).update(next_attempt_at=Now())
        return False
    return not has_files_to_clean()


def stop_all(clusters: dict[str, Program], janitor: Program) -> list[str]:
    """End the service as an operator does; whatever did not go well, as sentences."""
    found = []
    for name, program in [*clusters.items(), ("janitor", janitor)]:
        family = program.family()
        status = program.terminate()
        if status != 0:
            found.append(f"{name} ended with status {status}")
        _, alive = psutil.wait_procs(family, timeout=5)
        found += [
            f"{name} left a process behind: {process.pid}"
            for process in alive
            if process.status() != psutil.STATUS_ZOMBIE
        ]
    return found
