"""What is repeated, and that repeating charges once."""

from pathlib import Path
from typing import Any

import pytest
from stemwright import Client, ConnectionFailed, Retries, ServerError, TooManyRequests

from billing.selectors import ledger_discrepancies
from jobs.models import Ingest, Job
from tests.clients.proxy import Fault, Proxy

LOST = Fault(status=503)


def test_an_order_whose_answer_is_lost_three_times_is_charged_once(
    through: Client, proxy: Proxy, worker: None, song: Path, pauses: list[float]
):
    asset = through.assets.upload(song)
    proxy.will("POST", "/v1/jobs", LOST, Fault(status=504), Fault(cut_answer_after=0))
    job = through.jobs.create(asset=asset.id, stems=["vocals"])
    calls = proxy.called("POST", "/v1/jobs")
    assert len(calls) == 4
    assert len({call.headers["idempotency-key"] for call in calls}) == 1
    assert len(pauses) == 3
    assert pauses[0] < pauses[1] < pauses[2]
    assert [str(one.uuid) for one in Job.objects.all()] == [job.id]
    through.jobs.wait(job.id)
    assert through.credits().balance_mcr == 99_500
    charges = [entry for entry in through.ledger() if entry.job == job.id and entry.amount_mcr < 0]
    assert sum(entry.amount_mcr for entry in charges if entry.kind == "capture") == -500
    assert ledger_discrepancies() == []


def test_two_orders_are_two_jobs(client: Client, song: Path):
    asset = client.assets.upload(song)
    first = client.jobs.create(asset=asset.id, stems=["vocals"])
    second = client.jobs.create(asset=asset.id, stems=["vocals"])
    assert first.id != second.id
    again = [
        client.jobs.create(asset=asset.id, stems=["vocals"], idempotency_key="order 7")
        for _ in range(2)
    ]
    assert again[0].id == again[1].id
    assert Job.objects.count() == 3


def test_an_order_that_is_given_up_can_be_made_again(
    through: Client, proxy: Proxy, song: Path, pauses: list[float]
):
    asset = through.assets.upload(song)
    proxy.will("POST", "/v1/jobs", *[LOST] * 4)
    with pytest.raises(ServerError) as caught:
        through.jobs.create(asset=asset.id, stems=["vocals"])
    key = caught.value.idempotency_key
    job = through.jobs.create(asset=asset.id, stems=["vocals"], idempotency_key=key)
    assert [str(one.uuid) for one in Job.objects.all()] == [job.id]


def test_it_gives_up_in_the_end(through: Client, proxy: Proxy, pauses: list[float]):
    proxy.will("GET", "/v1/credits", *[LOST] * 9)
    with pytest.raises(ServerError) as caught:
        through.credits()
    assert (caught.value.code, caught.value.status) == ("http_503", 503)
    assert len(proxy.called("GET", "/v1/credits")) == 4
    assert len(pauses) == 3


def test_what_would_be_done_twice_is_not_repeated(
    through: Client, proxy: Proxy, media_server: Any, pauses: list[float]
):
    proxy.will("POST", "/v1/imports", LOST)
    with pytest.raises(ServerError):
        through.imports.create(f"{media_server.url}/song.wav")
    assert Ingest.objects.count() == 1
    proxy.will("POST", "/v1/imports", Fault(cut_answer_after=0))
    with pytest.raises(ConnectionFailed):
        through.imports.create(f"{media_server.url}/song.wav")
    assert Ingest.objects.count() == 2
    assert pauses == []


def test_it_waits_as_long_as_it_is_told(through: Client, proxy: Proxy, pauses: list[float]):
    told = Fault(status=429, headers=(("Retry-After", "7"),), is_passed_on=False)
    proxy.will("POST", "/v1/imports", told)
    proxy.will("GET", "/v1/credits", Fault(status=503, headers=(("Retry-After", "0"),)))
    assert through.credits().credits == "100"
    with pytest.raises(Exception, match="address"):
        # Refused before anything was done, so it may be repeated; then it is refused for good.
        through.imports.create("http://127.0.0.1:1/song.wav")
    assert pauses == [0.0, 7.0]


@pytest.mark.parametrize("headers", [(), (("Retry-After", "3600"),)])
def test_it_does_not_wait_without_being_told_or_for_too_long(
    through: Client, proxy: Proxy, pauses: list[float], headers: tuple[tuple[str, str], ...]
):
    proxy.will("GET", "/v1/credits", Fault(status=429, headers=headers, is_passed_on=False))
    with pytest.raises(TooManyRequests) as caught:
        through.credits()
    assert caught.value.retry_after_s == (3600 if headers else None)
    assert pauses == []


def test_a_service_that_is_not_there(key: str, pauses: list[float], unused_tcp_port: int):
    with (
        Client(key, f"http://127.0.0.1:{unused_tcp_port}", retries=Retries(attempts=2)) as client,
        pytest.raises(ConnectionFailed) as caught,
    ):
        client.credits()
    assert (caught.value.code, caught.value.status) == ("connection_failed", None)
    assert len(pauses) == 1


def test_a_key_is_not_sent_along_a_redirect(through: Client, proxy: Proxy):
    away = (("Location", "https://elsewhere.example/"),)
    proxy.will("GET", "/v1/credits", Fault(status=302, headers=away, is_passed_on=False))
    with pytest.raises(Exception, match="elsewhere") as caught:
        through.credits()
    assert caught.value.code == "bad_answer"  # type: ignore[attr-defined]


@pytest.fixture
def unused_tcp_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
