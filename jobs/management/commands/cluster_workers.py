import os
import shutil
import signal
import threading
from importlib import import_module
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from jobs.instance import FOLDER_VARIABLE


class Command(BaseCommand):
    """`qcluster`, but it ends with its supervisor."""

    help = "The workers of one cluster; started by `manage.py cluster` only."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        threading.Thread(target=_end_with_supervisor, daemon=True).start()
        # Once, before the processes are forked, rather than in each worker at its first task.
        import_module("jobs.tasks")
        # Returns once all processes have started; this one then waits for them at its exit.
        call_command("qcluster")


def _end_with_supervisor() -> None:
    """Wait until standard input closes: the supervisor holds its other end."""
    while os.read(0, 1024):
        pass
    shutil.rmtree(os.environ[FOLDER_VARIABLE], ignore_errors=True)
    # The supervisor was killed; its successor must not find workers that nobody watches.
    os.killpg(0, signal.SIGKILL)
