"""What an order may say besides its stems, and how a job shows it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from jobs import eta
from jobs.ingesting import run_next_ingest
from jobs.models import Asset, Job, JobState, Service, WebhookMessage
from jobs.services import job_cancel
from tests.fakes.http import Server
from tests.jobs.test_eta import measure
from tests.makers import make_asset, make_job, make_spoken_job, run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats")]

JSON = "application/json"


@pytest.fixture
def asset(alice: Any, tmp_path: Path) -> Asset:
    """Of 40 seconds, at 8 kHz: longer than a preview."""
    return make_asset(alice, tmp_path, seconds=40)


def order(client: Client, **body: Any) -> Any:
    return client.post("/v1/jobs", {"stems": ["vocals"], **body}, JSON)


def estimate(client: Client, **body: Any) -> Any:
    return client.post("/v1/jobs/estimate", {"stems": ["vocals"], **body}, JSON)


@pytest.mark.parametrize(
    ("fields", "start_s", "end_s"),
    [
        ({"start_s": 10, "end_s": 12.5}, 10, 12.5),
        ({"start_s": 38}, 38, 40),
        ({"end_s": 2}, 0, 2),
        ({"start_s": 0, "end_s": 1e6}, 0, 40),
        ({"preview": True}, 0, 30),
        ({"preview": True, "start_s": 5}, 5, 35),
        ({"preview": True, "start_s": 39}, 39, 40),
    ],
)
def test_only_the_range_is_worked_on_and_paid(
    alice_client: Client, asset: Asset, fields: dict[str, Any], start_s: float, end_s: float
):
    quote = estimate(alice_client, asset=str(asset.uuid), **fields).json()
    response = order(alice_client, asset=str(asset.uuid), **fields)
    assert response.status_code == 201
    job = response.json()
    assert job["range"] == {"start_s": start_s, "end_s": end_s}
    assert quote["duration_s"] == end_s - start_s
    assert job["price_mcr"] == quote["credits_mcr"] == 2_500 * (end_s - start_s)
    assert Job.objects.get().is_preview == (end_s - start_s <= 30)


def test_without_a_range_all_of_it(alice_client: Client, asset: Asset):
    job = order(alice_client, asset=str(asset.uuid), preview=False).json()
    assert (job["range"], job["price_mcr"]) == (None, 100_000)
    assert not Job.objects.get().is_preview


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"start_s": -1}, {"start_s"}),
        ({"start_s": "nan"}, {"start_s"}),
        ({"start_s": "1"}, {"start_s"}),
        ({"start_s": True}, {"start_s"}),
        ({"end_s": 1e10}, {"end_s"}),
        ({"start_s": 2, "end_s": 2}, {"end_s"}),
        ({"end_s": 0}, {"end_s"}),
        ({"preview": True, "end_s": 2}, {"end_s"}),
        ({"format": "wav", "formats": ["mp3"]}, {"formats"}),
        ({"formats": []}, {"formats"}),
        ({"formats": ["wav", "wav"]}, {"formats"}),
        ({"formats": "wav"}, {"formats"}),
        ({"steps": ["polish"]}, {"steps"}),
        ({"metadata": []}, {"metadata"}),
        ({"metadata": "x"}, {"metadata"}),
        ({"metadata": {"a": "\x00"}}, {"metadata"}),
        ({"metadata": {"\x00": 1}}, {"metadata"}),
        ({"metadata": {"a": "é" * 2050}}, {"metadata"}),
        ({"asset": None, "url": ""}, {"asset", "url"}),
        ({"url": "https://media.example.org/a.wav"}, {"asset"}),
        ({"import": "x"}, {"import"}),
        ({"service": "conversion"}, {"stems"}),
    ],
)
def test_what_makes_no_sense_is_refused(
    alice_client: Client, asset: Asset, fields: dict[str, Any], names: set[str]
):
    for ask in (order, estimate):
        response = ask(alice_client, **{"asset": str(asset.uuid), **fields})
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "validation_failed")
        assert {name.partition(".")[0] for name in error["fields"]} == names
    assert Job.objects.count() == 0


def test_a_number_that_no_database_holds_is_no_metadata(alice_client: Client, asset: Asset):
    body = f'{{"asset": "{asset.uuid}", "metadata": {{"a": 1e999}}}}'
    response = alice_client.post("/v1/jobs", body, JSON)
    assert response.status_code == 400
    assert set(response.json()["error"]["fields"]) == {"metadata"}


def test_a_range_outside_the_recording_is_refused(alice_client: Client, asset: Asset):
    response = order(alice_client, asset=str(asset.uuid), start_s=40)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "range_outside")
    assert error["data"] == {"duration_s": 40.0}


def test_a_recording_must_be_named(alice_client: Client):
    response = order(alice_client)
    assert set(response.json()["error"]["fields"]) == {"asset"}


def test_metadata_comes_back_with_the_job_and_its_message(
    alice: Any, alice_client: Client, asset: Asset
):
    metadata = {"order": 42, "nested": {"ü": [None, 1.5, "x"]}, "": ""}
    hook = "https://hooks.example.org/in"
    body = order(
        alice_client, asset=str(asset.uuid), end_s=1, metadata=metadata, callback_url=hook
    ).json()
    assert body["metadata"] == metadata
    job_cancel(workspace=alice, job_uuid=body["id"])
    data = WebhookMessage.objects.get().body["data"]
    assert data["metadata"] == metadata
    assert (data["range"], data["formats"], data["steps"]) == (body["range"], ["wav"], [])


@pytest.mark.parametrize("depth", [32, 33, 600])
def test_metadata_is_only_so_deep(alice_client: Client, asset: Asset, depth: int):
    nested = json.loads('{"a": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}")
    response = order(alice_client, asset=str(asset.uuid), end_s=1, metadata=nested)
    if depth <= 32:
        assert response.json()["metadata"] == nested
    else:
        assert response.status_code == 400
        assert set(response.json()["error"]["fields"]) == {"metadata"}


def test_metadata_of_the_largest_size_is_kept(alice_client: Client, asset: Asset):
    metadata = {"a": "x" * (4096 - len(json.dumps({"a": ""})))}
    body = order(alice_client, asset=str(asset.uuid), end_s=1, metadata=metadata).json()
    assert body["metadata"] == metadata


def test_several_formats_are_ordered_at_once(alice_client: Client, asset: Asset):
    body = order(alice_client, asset=str(asset.uuid), end_s=1, formats=["mp3", "flac"]).json()
    assert (body["format"], body["formats"]) == ("mp3", ["mp3", "flac"])
    job = Job.objects.get()
    assert (job.output_format, job.more_formats) == ("mp3", ["flac"])


def test_by_address_it_waits_for_its_recording(
    alice_client: Client, media_server: Server, fake_separation: list[Any]
):
    response = order(alice_client, url=f"{media_server.url}/song.wav", metadata={"n": 1})
    assert response.status_code == 201
    body = response.json()
    assert (body["status"], body["asset"], body["price_mcr"]) == ("waiting", None, 0)
    assert (body["stems"], body["eta_s"]) == (["vocals"], None)
    assert alice_client.get("/v1/credits").json()["held_mcr"] == 0
    assert run_next_ingest()
    body = alice_client.get(f"/v1/jobs/{body['id']}").json()
    # 0.2 seconds.
    assert (body["status"], body["price_mcr"], body["metadata"]) == ("queued", 500, {"n": 1})
    assert body["asset"] == str(Asset.objects.get().uuid)
    run_jobs()
    body = alice_client.get(f"/v1/jobs/{body['id']}").json()
    assert (body["status"], body["charged_mcr"]) == ("succeeded", 500)


def test_it_may_wait_for_an_import_that_was_begun_before(
    alice_client: Client, charlie_client: Client, media_server: Server
):
    url = f"{media_server.url}/song.wav"
    imported = alice_client.post("/v1/imports", {"url": url}, JSON).json()
    body = order(alice_client, **{"import": imported["id"]}).json()
    assert body["status"] == "waiting"
    assert order(charlie_client, **{"import": imported["id"]}).status_code == 404
    assert run_next_ingest()
    assert alice_client.get(f"/v1/jobs/{body['id']}").json()["status"] == "queued"
    late = order(alice_client, **{"import": imported["id"]})
    assert (late.status_code, late.json()["error"]["code"]) == (409, "wrong_state")


@pytest.mark.parametrize("name", ["url", "import"])
def test_what_has_not_come_has_no_price(alice_client: Client, name: str):
    value = {"url": "https://media.example.org/a.wav", "import": str(Job().uuid)}[name]
    response = estimate(alice_client, **{name: value})
    assert (response.status_code, set(response.json()["error"]["fields"])) == (400, {"asset"})


def test_the_time_that_it_takes_is_told_where_it_is_known(alice_client: Client, asset: Asset):
    """A second of audio takes two."""
    measure([(10, 20)])
    body = {"asset": str(asset.uuid), "end_s": 4}
    assert estimate(alice_client, **body).json()["eta_s"] == 8
    first, second = order(alice_client, **body).json(), order(alice_client, **body).json()
    assert (first["eta_s"], second["eta_s"]) == (8, 16)
    listed = alice_client.get("/v1/jobs").json()["results"]
    assert [job["eta_s"] for job in listed] == [16, 8]
    alice_client.post(f"/v1/jobs/{first['id']}/cancel")
    assert alice_client.get(f"/v1/jobs/{first['id']}").json()["eta_s"] == 0
    assert alice_client.get(f"/v1/jobs/{second['id']}").json()["eta_s"] == 8


def test_a_page_of_jobs_looks_at_the_queue_once(
    alice: Any,
    alice_client: Client,
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Any,
):
    settings.ETA_LOOK_SECONDS = 60
    for _ in range(3):
        make_job(alice, make_asset(alice, tmp_path, seconds=0.1))
    alice_client.get("/v1/jobs")
    monkeypatch.setattr(eta, "_latest", (0.0, None))
    with django_assert_max_num_queries(10) as few:
        alice_client.get("/v1/jobs?limit=1")
    monkeypatch.setattr(eta, "_latest", (0.0, None))
    with django_assert_max_num_queries(len(few)):
        alice_client.get("/v1/jobs")


@pytest.fixture
def jobs(alice: Any, tmp_path: Path) -> tuple[Job, Job]:
    asset = make_asset(alice, tmp_path, seconds=0.1)
    waiting, spoken = make_job(alice, asset), make_spoken_job(alice, asset)
    Job.objects.filter(pk=waiting.pk).update(created_at="2026-01-01T00:00:00Z")
    return waiting, spoken


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 0]),
        ("status=succeeded", [1]),
        ("status=queued", [0]),
        ("status=waiting", []),
        ("service=separation", [0]),
        ("service=speaker_extraction&status=queued", []),
        ("since=2026-01-01T00:00:00Z", [1, 0]),
        ("since=2026-01-01T00:00:01Z", [1]),
        ("until=2026-01-01T00:00:00Z", []),
        ("until=2026-01-01T00:00:01Z&limit=5", [0]),
    ],
)
def test_the_list_can_be_narrowed(
    alice_client: Client,
    charlie_client: Client,
    jobs: tuple[Job, Job],
    query: str,
    found: list[int],
):
    results = alice_client.get(f"/v1/jobs?{query}").json()["results"]
    assert [job["id"] for job in results] == [str(jobs[number].uuid) for number in found]
    assert charlie_client.get(f"/v1/jobs?{query}").json()["results"] == []


@pytest.mark.parametrize("query", ["status=x", "service=x", "since=x", "state=queued"])
def test_a_filter_that_is_none_is_refused(alice_client: Client, query: str):
    response = alice_client.get(f"/v1/jobs?{query}")
    error = response.json()["error"]
    assert (response.status_code, set(error["fields"])) == (400, {query.partition("=")[0]})


@pytest.fixture
def failed(alice: Any, asset: Asset) -> Job:
    job = make_job(alice, asset)
    job_cancel(workspace=alice, job_uuid=job.uuid)
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED, finished_at=Now())
    return job


def retry(client: Client, job: Any, key: str | None = None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(f"/v1/jobs/{job}/retry", headers=headers)


def test_what_failed_can_be_retried_once(alice_client: Client, failed: Job):
    response = retry(alice_client, failed.uuid)
    assert response.status_code == 201
    body = response.json()
    assert (body["status"], body["retry_of"]) == ("queued", str(failed.uuid))
    assert body["id"] != str(failed.uuid)
    assert (body["stems"], body["price_mcr"]) == (["vocals"], failed.price_mcr)
    again = retry(alice_client, failed.uuid)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "wrong_state")
    running = retry(alice_client, body["id"])
    assert (running.status_code, running.json()["error"]["code"]) == (409, "wrong_state")
    assert alice_client.get("/v1/credits").json()["held_mcr"] == failed.price_mcr


def test_a_repeated_retry_under_one_key_is_one_job(alice_client: Client, failed: Job):
    first, second = (retry(alice_client, failed.uuid, "k") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert alice_client.get("/v1/credits").json()["held_mcr"] == failed.price_mcr
    # The key is of that call.
    alice_client.post(f"/v1/jobs/{first.json()['id']}/cancel")
    other = retry(alice_client, first.json()["id"], "k")
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_conflict")
    bad = retry(alice_client, failed.uuid, "x" * 201)
    assert bad.status_code == 400


def test_a_job_of_others_cannot_be_retried(charlie_client: Client, failed: Job):
    assert retry(charlie_client, failed.uuid).status_code == 404
    assert Job.objects.count() == 1


def batch(client: Client, *orders: Any, key: str | None = None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/v1/jobs/batch", {"orders": orders}, JSON, headers=headers)


@pytest.fixture
def make_order(asset: Asset) -> Callable[..., dict[str, Any]]:
    return lambda **fields: {
        "asset": str(asset.uuid),
        "stems": ["vocals"],
        "end_s": 1,
        **fields,
    }


def test_a_batch_is_as_many_jobs(alice_client: Client, make_order: Any):
    response = batch(alice_client, make_order(), make_order(stems=["drums", "bass"], end_s=2))
    assert response.status_code == 201
    first, second = response.json()["jobs"]
    assert (first["stems"], second["stems"]) == (["vocals"], ["drums", "bass"])
    assert (first["price_mcr"], second["price_mcr"]) == (2_500, 5_000)
    assert alice_client.get(f"/v1/jobs/{second['id']}").json() == second
    assert alice_client.get("/v1/credits").json()["held_mcr"] == 7_500


@pytest.mark.parametrize(
    ("fields", "status", "code", "field"),
    [
        ({"stems": ["violas"]}, 400, "unknown_stem", None),
        ({"format": "ogg"}, 400, "unsupported_format", None),
        ({"formats": ["wav", "wav"]}, 400, "validation_failed", "orders.1.formats"),
        ({"end_s": -1}, 400, "validation_failed", "orders.1.end_s"),
        ({"asset": "x"}, 400, "validation_failed", "orders.1.asset"),
        ({"idempotency_key": "\n"}, 400, "validation_failed", "orders.1.idempotency_key"),
        ({"idempotency_key": ""}, 400, "validation_failed", "orders.1.idempotency_key"),
        ({"wish": 1}, 400, "validation_failed", "orders.1.wish"),
        ({"end_s": 40}, 402, "insufficient_credits", None),
    ],
)
def test_a_batch_is_made_as_a_whole_or_not_at_all(
    alice_client: Client,
    make_order: Any,
    fields: dict[str, Any],
    status: int,
    code: str,
    field: str | None,
):
    response = batch(alice_client, make_order(), make_order(**fields))
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert set(error["fields"]) == ({field} if field else set())
    assert field or error["data"]["order"] == 1
    assert Job.objects.count() == 0
    assert alice_client.get("/v1/credits").json()["held_mcr"] == 0


def test_a_repeated_batch_under_one_key_is_charged_once(alice_client: Client, make_order: Any):
    orders = [make_order(), make_order(stems=["drums"])]
    first, second = batch(alice_client, *orders, key="k"), batch(alice_client, *orders, key="k")
    assert (first.status_code, second.status_code) == (201, 201)
    assert [job["id"] for job in first.json()["jobs"]] == [
        job["id"] for job in second.json()["jobs"]
    ]
    other = batch(alice_client, make_order(), make_order(stems=["bass"]), key="k")
    error = other.json()["error"]
    assert (other.status_code, error["code"]) == (422, "idempotency_conflict")
    assert error["data"] == {"order": 1}
    assert Job.objects.count() == 2


def test_each_order_of_a_batch_may_have_a_key_of_its_own(alice_client: Client, make_order: Any):
    body = make_order(idempotency_key="mine")
    first = batch(alice_client, body, make_order()).json()["jobs"]
    second = batch(alice_client, make_order(stems=["drums"]), body).json()["jobs"]
    assert first[0]["id"] == second[1]["id"]
    assert Job.objects.count() == 3
    # It is the key of the header.
    single = alice_client.post("/v1/jobs", make_order(), JSON, headers={"Idempotency-Key": "mine"})
    assert single.json()["id"] == first[0]["id"]


def test_a_batch_of_others_recordings_is_refused(charlie_client: Client, make_order: Any):
    response = batch(charlie_client, make_order())
    assert (response.status_code, response.json()["error"]["data"]) == (404, {"order": 0})
    assert Job.objects.count() == 0


@pytest.mark.parametrize("orders", [[], [{}] * 51, None, {}, [1]])
def test_a_batch_of_none_or_too_many_is_refused(alice_client: Client, orders: Any):
    response = alice_client.post("/v1/jobs/batch", {"orders": orders}, JSON)
    assert response.status_code == 400
    assert all(name.startswith("orders") for name in response.json()["error"]["fields"])


def test_every_service_is_known(alice_client: Client, asset: Asset):
    """What is not available here is refused as such, not as unknown."""
    for service in Service.values:
        body: dict[str, Any] = {"asset": str(asset.uuid), "service": service, "end_s": 1}
        if service == Service.ENHANCEMENT:
            body["steps"] = ["denoise"]
        response = alice_client.post("/v1/jobs/estimate", body, JSON)
        if response.status_code != 200:
            assert response.json()["error"]["code"] == "model_unavailable"
