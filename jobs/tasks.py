"""What workers are woken for. Each may run twice, or not at all: the janitor sees to the rest."""

from jobs import cleaning
from jobs.queue import wake_cleaning, wake_separation
from jobs.runner import run_next_job


def separation_run() -> None:
    # One job a task, so that a worker that is asked to stop does so after the job at hand. The
    # process stays, and with it the model.
    if run_next_job():
        wake_separation()


def storage_clean() -> None:
    if cleaning.storage_clean():
        wake_cleaning()
