import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from jobs.leases import job_claim, job_succeed
from jobs.services import job_cancel
from tests.makers import make_asset, make_job

pytestmark = pytest.mark.django_db


def test_the_catalogue_names_stems_models_prices_and_limits(client: Client):
    body = client.get("/v1/catalog").json()
    assert {"vocals", "drums", "bass", "other", "accompaniment", "instrumental"} <= {
        stem["name"] for stem in body["stems"]
    }
    models = {model["name"]: model for model in body["models"]}
    assert models["htdemucs"]["commercial_use"] is False
    assert "personal and research use" in models["htdemucs"]["licence_summary"]
    assert models["htdemucs"]["available"] is True
    assert models["spleeter-2stems"]["stems"] == ["vocals", "accompaniment"]
    assert body["prices"] == [{"service": "separation", "unit": "per_second", "amount_mcr": 2_500}]
    assert body["max_duration_s"] > 0


def test_a_model_without_weights_is_listed_as_unavailable(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path))
    body = client.get("/v1/catalog").json()
    assert {model["available"] for model in body["models"]} == {False}
    assert {stem["available"] for stem in body["stems"]} == {False}


def test_the_schema_names_every_path(client: Client):
    schema = client.get("/v1/openapi.json").json()
    assert "/v1/jobs/{job_uuid}/events" in schema["paths"]
    listing = schema["paths"]["/v1/jobs"]["get"]
    assert listing["summary"] == "Jobs, newest first."
    page = listing["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    assert page == "#/components/schemas/PaginatedJobList"
    error = listing["responses"]["default"]["content"]["application/json"]["schema"]["$ref"]
    assert error == "#/components/schemas/Error"
    assert schema["components"]["securitySchemes"]["apiKey"]["name"] == "X-API-Key"


@pytest.mark.parametrize("path", ["/", "/v1/docs", "/livez", "/readyz"])
def test_pages_answer(client: Client, path: str):
    response = client.get(path)
    assert response.status_code == 200
    assert "Content-Security-Policy" in response.headers


def events(client: Client, path: str) -> list[dict[str, Any]]:
    response = client.get(path)
    assert response.headers["Content-Type"] == "text/event-stream"
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.startswith("retry: 1000\n\n")
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def test_events_of_an_ended_job_are_its_end(alice_client: Client, alice: Any, tmp_path: Path):
    job = make_job(alice, make_asset(alice, tmp_path))
    job_cancel(workspace=alice, job_uuid=job.uuid)
    (event,) = events(alice_client, f"/v1/jobs/{job.uuid}/events")
    assert (event["id"], event["status"]) == (str(job.uuid), "cancelled")


def test_events_tell_each_change_once(
    alice_client: Client, alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    job = make_job(alice, make_asset(alice, tmp_path))
    turns = iter([lambda: None, job_claim, lambda: None])

    def instead_of_sleep(_: float) -> None:
        step = next(turns, None)
        if step is not None:
            step()
        else:
            job.refresh_from_db()
            job_succeed(job, outputs=[])

    monkeypatch.setattr("api.native.events.time.sleep", instead_of_sleep)
    told = events(alice_client, f"/v1/jobs/{job.uuid}/events")
    assert [event["status"] for event in told] == ["queued", "running", "succeeded"]
