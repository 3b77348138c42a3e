"""The brokers of django-q2, with what they lack: a canary, the database's clock, and patience.

Beside jobs/queue.py the only module that knows django-q2. A setting chooses the class
(`Q_CLUSTER["broker_class"]`, from STEMWRIGHT_BROKER_URL).
"""

import time
from typing import Any, Final
from uuid import uuid4

import redis
import structlog
from botocore.config import Config
from django.conf import settings
from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone
from django_q.brokers import Broker, aws_sqs, orm, redis_broker
from django_q.conf import Conf
from django_q.signals import post_execute_in_worker, pre_execute
from django_q.signing import SignedPackage
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.instance import Pulse, busy_end, busy_write, is_supervised, pulse_write

log = structlog.get_logger(__name__)

# What the pusher gives for a task's place in the queue, and the monitor gives back at its end.
CANARY: Final = "canary"
_CANARY_TASK = "jobs.tasks.canary"
# After a broker did not answer. django-q2 itself would wait for 10 s and end the process.
_OUTAGE_PAUSE_S = 1.0
# SQS hides a message for 12 hours at most.
_SQS_HIDDEN_MAX_S = 12 * 3600


class SteadyBroker(Broker):  # type: ignore[misc]
    """What all brokers here share.

    Every few seconds the pusher gets a canary instead of a look at the queue. It takes the way of
    all tasks: pusher, local queue, worker, result queue, monitor; a cluster in which one of these
    hangs is known by the pulse that fails to come. The broker never hears of it, so that the canary
    is this cluster's own, and lives while the broker is away.
    """

    # More wake-ups than that need not wait: any of them finds all the work there is.
    enough_waiting = 50

    _canary_at = 0.0
    _sentinel_at = 0.0

    def dequeue(self) -> list[tuple[Any, str]] | None:
        if is_supervised() and time.monotonic() >= self._canary_at:
            self._canary_at = time.monotonic() + settings.CLUSTER_CANARY_SECONDS
            return [(CANARY, _canary())]
        try:
            return self.fetch()
        except Exception:
            log.warning("queue_unreachable", queue=self.list_key, exc_info=True)
            time.sleep(_OUTAGE_PAUSE_S)
            return None

    def fetch(self) -> list[tuple[Any, str]] | None:
        """The next task, or None after a short wait."""
        return super().dequeue()  # type: ignore[no-any-return]

    def acknowledge(self, task_id: Any) -> None:
        if task_id == CANARY:
            pulse_write(Pulse.MONITOR)
            return
        try:
            super().acknowledge(task_id)
        except Exception:
            # The task will come again, which does no harm; a monitor that ends might.
            log.warning("queue_unreachable", queue=self.list_key, exc_info=True)

    def fail(self, task_id: Any) -> None:
        self.acknowledge(task_id)

    def ping(self) -> bool:
        # A cluster that starts while its broker is away waits for it.
        return True

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        # The sentinel calls this on each of its rounds. Nobody reads these numbers; in the
        # database's cache they would be written six times a second for each machine.
        if time.monotonic() >= self._sentinel_at:
            self._sentinel_at = time.monotonic() + 1
            pulse_write(Pulse.SENTINEL)

    def get_stat(self, key: str) -> str | None:
        return None

    def get_stats(self, pattern: str) -> list[Any]:
        return []


class Database(SteadyBroker, orm.ORM):  # type: ignore[misc]
    """PostgreSQL: times are its own, and clusters that look at the same moment do not collide."""

    def enqueue(self, task: str) -> int:
        row = self.get_connection().create(key=self.list_key, payload=task, lock=Now())
        return int(row.pk)

    def queue_size(self) -> int:
        # Fetched tasks stay in the table, locked, until they are done; those of a killed cluster
        # stay locked for long. Only tasks that a worker can still fetch count as waiting.
        self.get_connection()
        with connections[Conf.ORM].cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM django_q_ormq"
                " WHERE key = %s AND lock <= statement_timestamp()",
                [self.list_key],
            )
            return int(cursor.fetchone()[0])

    def fetch(self) -> list[tuple[Any, str]] | None:
        self.get_connection()
        with connections[Conf.ORM].cursor() as cursor:
            cursor.execute(
                "UPDATE django_q_ormq SET lock = statement_timestamp() + make_interval(secs => %s)"
                " WHERE id = ("
                "  SELECT id FROM django_q_ormq WHERE key = %s AND lock <= statement_timestamp()"
                "    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
                ") RETURNING id, payload",
                [Conf.RETRY, self.list_key],
            )
            row = cursor.fetchone()
        if row is None:
            time.sleep(Conf.POLL)
            return None
        return [row]


class Redis(SteadyBroker, redis_broker.Redis):  # type: ignore[misc]
    """Redis forgets a task as soon as it hands it out; the janitor wakes for what was lost."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> "redis.Redis":
        # Short: an order must not wait for a broker that is away. Longer than BLPOP waits (1 s).
        return redis.Redis.from_url(
            Conf.REDIS,
            socket_connect_timeout=1,
            socket_timeout=2,
            # Once more, for a connection that broke while nobody used it.
            retry=Retry(NoBackoff(), 1),
        )


class Sqs(SteadyBroker, aws_sqs.Sqs):  # type: ignore[misc]
    """Amazon SQS, or what speaks like it; keys and endpoint come from the environment of AWS."""

    # It knows only about how many wait, and only after a while.
    enough_waiting = 1000

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(f"{settings.SQS_QUEUE_PREFIX}{list_key or Conf.CLUSTER_NAME}")

    def get_queue(self) -> Any:
        self.sqs = self.connection.resource(
            "sqs",
            config=Config(
                connect_timeout=2,
                read_timeout=Conf.SQS["receive_message_wait_time_seconds"] + 2,
                retries={"total_max_attempts": 2},
            ),
        )
        try:
            return self.sqs.get_queue_by_name(QueueName=self.list_key)
        except self.sqs.meta.client.exceptions.QueueDoesNotExist:
            return self.sqs.create_queue(QueueName=self.list_key)

    def queue_size(self) -> int:
        self.queue.reload()
        return int(super().queue_size())

    def fetch(self) -> list[tuple[Any, str]] | None:
        messages = self.queue.receive_messages(
            MaxNumberOfMessages=1,
            VisibilityTimeout=min(Conf.RETRY, _SQS_HIDDEN_MAX_S),
            WaitTimeSeconds=Conf.SQS["receive_message_wait_time_seconds"],
        )
        return [(message.receipt_handle, message.body) for message in messages]


def _canary() -> str:
    package = {
        "id": uuid4().hex,
        "name": CANARY,
        "func": _CANARY_TASK,
        "args": (),
        "kwargs": {},
        "save": False,
        "ack_failure": True,
        "started": timezone.now(),
    }
    return str(SignedPackage.dumps(package))


def _task_begins(**kwargs: Any) -> None:
    busy_write()
    pulse_write()
    if is_supervised():
        # Here: models are not there yet when the broker is loaded.
        from jobs.presence import presence_begin

        presence_begin()


def _task_ended(**kwargs: Any) -> None:
    busy_end()


# Sent in the worker. The processes of a cluster are forked from one that has loaded its broker.
pre_execute.connect(_task_begins, dispatch_uid="jobs.brokers")
post_execute_in_worker.connect(_task_ended, dispatch_uid="jobs.brokers")
