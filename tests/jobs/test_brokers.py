"""What carries the wake-ups: the same promises for each broker."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from config.broker import broker_settings, sqs_queue_prefix
from config.env import EnvError
from jobs import brokers, queue
from jobs.brokers import CANARY, Database, Redis, Sqs, SteadyBroker
from jobs.instance import FOLDER_VARIABLE, Pulse
from jobs.queue import wake_separation
from tests.races import together
from tests.servers.brokers import redis_server, sqs_server

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="module")
def sqs_environ() -> Iterator[dict[str, str]]:
    with sqs_server() as environ:
        yield environ


@pytest.fixture(params=["postgresql", "redis", "sqs"])
def broker(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> SteadyBroker:
    monkeypatch.setattr(Conf, "POLL", 0)
    match request.param:
        case "redis":
            monkeypatch.setattr(Conf, "REDIS", request.getfixturevalue("redis_url"))
            made: SteadyBroker = Redis(f"{uuid4()}")
        case "sqs":
            for name, value in request.getfixturevalue("sqs_environ").items():
                monkeypatch.setenv(name, value)
            conf = {"aws_region": "eu-central-1", "receive_message_wait_time_seconds": 0}
            monkeypatch.setattr(Conf, "SQS", conf)
            settings.SQS_QUEUE_PREFIX = f"{uuid4()}-"
            made = Sqs("separation")
        case _:
            made = Database("separation")
    return made


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "instance"
    folder.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return folder


def take(broker: SteadyBroker) -> tuple[Any, str]:
    ((place, payload),) = broker.dequeue() or []
    return place, payload if isinstance(payload, str) else payload.decode()


def test_what_is_sent_comes_once(broker: SteadyBroker):
    assert broker.queue_size() == 0
    broker.enqueue("first")
    assert broker.queue_size() == 1
    place, payload = take(broker)
    assert payload == "first"
    assert (broker.dequeue() or []) == []
    assert broker.queue_size() == 0
    if place is not None:  # Redis knows nothing of what it has handed out.
        broker.acknowledge(place)
    assert (broker.dequeue() or []) == []


def test_a_canary_comes_first_and_then_in_its_time(
    broker: SteadyBroker, instance: Path, settings: Any
):
    broker.enqueue("work")
    place, payload = take(broker)
    assert (place, SignedPackage.loads(payload)["func"]) == (CANARY, "jobs.tasks.canary")
    assert take(broker)[1] == "work"
    assert (broker.dequeue() or []) == []
    settings.CLUSTER_CANARY_SECONDS = 0
    broker._canary_at = 0
    assert [take(broker)[0] for _ in range(2)] == [CANARY, CANARY]


def test_the_end_of_a_canary_is_a_pulse_and_the_broker_never_hears_of_it(
    broker: SteadyBroker, instance: Path
):
    broker.enqueue("work")
    assert not (instance / Pulse.MONITOR).exists()
    broker.acknowledge(CANARY)
    assert (instance / Pulse.MONITOR).exists()
    broker.fail(CANARY)
    assert broker.queue_size() == 1


def test_without_a_supervisor_there_is_no_canary(broker: SteadyBroker):
    assert (broker.dequeue() or []) == []


def test_an_outage_passes(
    broker: SteadyBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def away(*args: Any) -> None:
        raise ConnectionError("the broker is away")

    monkeypatch.setattr(brokers, "_OUTAGE_PAUSE_S", 0)
    broker.enqueue("work")
    with monkeypatch.context() as outage:
        outage.setattr(type(broker), "fetch", away)
        outage.setattr(type(broker).__mro__[2], "acknowledge", away)
        assert broker.dequeue() is None
        broker.acknowledge("place")
        assert broker.ping() is True
    said = [record for record in caplog.records if record.name == "jobs.brokers"]
    assert [record.getMessage().count("queue_unreachable") for record in said] == [1, 1]
    assert take(broker)[1] == "work"


def test_a_wake_up_reaches_the_broker_until_enough_wait(
    broker: SteadyBroker,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
):
    monkeypatch.setattr(queue, "_broker", lambda cluster: broker)
    monkeypatch.setattr(type(broker), "enough_waiting", 2)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(4):
            wake_separation()
    assert broker.queue_size() == 2
    assert SignedPackage.loads(take(broker)[1])["func"] == "jobs.tasks.separation_run"


def test_the_sentinels_rounds_are_its_pulse(broker: SteadyBroker, instance: Path):
    broker.set_stat("key", "value", 3)
    assert (instance / Pulse.SENTINEL).exists()
    assert (broker.get_stat("key"), broker.get_stats("*")) == (None, [])


def test_a_task_comes_again_when_its_cluster_was_killed(monkeypatch: pytest.MonkeyPatch):
    broker = Database("separation")
    broker.enqueue("work")
    monkeypatch.setattr(Conf, "RETRY", 600)
    assert take(broker)[1] == "work"
    assert (broker.queue_size(), broker.lock_size()) == (0, 1)
    OrmQ.objects.update(lock="2026-01-01T00:00:00Z")
    assert take(broker)[1] == "work"


@pytest.mark.django_db(transaction=True)
def test_clusters_that_look_at_the_same_moment_get_different_tasks():
    for number in range(8):
        Database("separation").enqueue(str(number))
    taken = together(8, lambda: take(Database("separation"))[1])
    assert sorted(taken) == [str(number) for number in range(8)]


def test_a_broker_that_lets_orders_wait_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
):
    calls = []

    class Slow(Database):
        def queue_size(self) -> int:
            calls.append(time.monotonic())
            raise TimeoutError

    monkeypatch.setattr(queue, "_broker", Slow)
    monkeypatch.setattr(queue, "_SLOW_S", -1)
    monkeypatch.setattr(queue, "_rest_until", 0.0)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(3):
            wake_separation()
    assert len(calls) == 1


def test_nobody_listens_at_the_address_of_redis(
    monkeypatch: pytest.MonkeyPatch, redis_url: str, django_capture_on_commit_callbacks: Any
):
    monkeypatch.setattr(Conf, "REDIS", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(queue, "_broker", Redis)
    monkeypatch.setattr(queue, "_rest_until", 0.0)
    with django_capture_on_commit_callbacks(execute=True):
        wake_separation()
    assert OrmQ.objects.count() == 0


def test_sqs_hides_a_message_no_longer_than_it_can(
    sqs_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, settings: Any
):
    for name, value in sqs_environ.items():
        monkeypatch.setenv(name, value)
    conf = {"aws_region": "eu-central-1", "receive_message_wait_time_seconds": 0}
    monkeypatch.setattr(Conf, "SQS", conf)
    monkeypatch.setattr(Conf, "RETRY", 25 * 3600)
    settings.SQS_QUEUE_PREFIX = "long-"
    broker = Sqs("separation")
    broker.enqueue("work")
    assert take(broker)[1] == "work"
    names = boto3.client("sqs", region_name="eu-central-1").list_queues()["QueueUrls"]
    assert [url.rpartition("/")[2] for url in names if "long" in url] == ["long-separation"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "jobs.brokers.Database"),
        ("redis://localhost:6379/1", "jobs.brokers.Redis"),
        ("rediss://:secret@cache.internal:6380/0", "jobs.brokers.Redis"),
        ("sqs://eu-west-1", "jobs.brokers.Sqs"),
        ("sqs://eu-west-1/stage", "jobs.brokers.Sqs"),
    ],
)
def test_one_address_chooses_the_broker(url: str, expected: str):
    assert broker_settings(url)["broker_class"] == expected


@pytest.mark.parametrize("url", ["sqs://", "amqp://localhost", "localhost:6379"])
def test_another_address_is_refused(url: str):
    with pytest.raises(EnvError, match="STEMWRIGHT_BROKER_URL"):
        broker_settings(url)


def test_queues_of_sqs_have_a_prefix():
    assert sqs_queue_prefix("sqs://eu-west-1") == "stemwright-"
    assert sqs_queue_prefix("sqs://eu-west-1/stage") == "stage-"
