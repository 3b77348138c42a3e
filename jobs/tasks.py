"""What workers are woken for. Each may run twice, or not at all: the janitor sees to the rest."""

from jobs.cleaning import storage_clean as clean
from jobs.runner import run_waiting_jobs


def separation_drain() -> None:
    run_waiting_jobs()


def storage_clean() -> None:
    clean()
