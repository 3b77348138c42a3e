"""Which broker carries the wake-ups, told by one address."""

from typing import Any
from urllib.parse import urlsplit

from config.env import EnvError


def broker_settings(url: str) -> dict[str, Any]:
    """What django-q2 has to know of the broker.

    Empty: PostgreSQL. `redis://host:6379/0`, `rediss://…` (with TLS), or `sqs://region/prefix`: the
    prefix is that of the queues' names, and keys come from the environment of AWS.
    """
    if not url:
        return {"orm": "default", "broker_class": "jobs.brokers.Database"}
    parts = urlsplit(url)
    match parts.scheme:
        case "redis" | "rediss":
            return {"redis": url, "broker_class": "jobs.brokers.Redis"}
        case "sqs" if parts.hostname:
            # Longer looks are cheaper, but a canary waits for them, and a stop.
            region = {"aws_region": parts.hostname, "receive_message_wait_time_seconds": 2}
            return {"sqs": region, "broker_class": "jobs.brokers.Sqs"}
    raise EnvError(
        "STEMWRIGHT_BROKER_URL must be empty, redis://…, rediss://… or sqs://region/prefix."
    )


def sqs_queue_prefix(url: str) -> str:
    return (urlsplit(url).path.strip("/") or "stemwright") + "-"
