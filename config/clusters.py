"""The clusters of django-q2: who works, and how long a task may take."""

from typing import Any


def clusters_settings(broker: dict[str, Any], *, longest_s: int) -> dict[str, Any]:
    """Of the three clusters, by way of this broker. No task of the engine takes longer."""
    return {
        "name": "default",
        **broker,
        # One for files and one for webhooks at most (jobs/tasks.py): that leaves one for payments.
        "workers": 3,
        # Light work only. `retry` counts from the moment that a task is fetched, not started: it
        # must exceed (prefetched + 1) x the longest task, else tasks run twice.
        "timeout": 60,
        "retry": 600,
        # 1: no task waits in a local queue, where a kill would hold it until `retry`.
        "queue_limit": 1,
        "max_attempts": 3,
        "ack_failures": True,
        # The janitor sees to what is due; schedules would hang with their cluster.
        "scheduler": False,
        # Database polls: 0.2 s keeps the wait of a new job under half a second.
        "poll": 0.2,
        # Must divide timeout + 3: the guard compares the remaining time with 0 exactly.
        "guard_cycle": 0.5,
        "save_limit": 1000,
        "ALT_CLUSTERS": {
            "separation": {
                # One process for the device; the model stays in it.
                "workers": 1,
                # A task runs jobs for an hour, and then ends those at hand and previews beside
                # them. Jobs have leases and limits of their own: this must never be what ends one.
                "timeout": longest_s,
                "retry": longest_s + 3600,
                "queue_limit": 1,
                "recycle": 1_000_000_000,
            },
            "imports": {
                # More than one workspace may have at work (PARALLEL_IMPORTS).
                "workers": 3,
                # As long as the slowest server may take to send a recording.
                "timeout": 3600,
                "retry": 3700,
                "queue_limit": 1,
            },
        },
    }
