from pathlib import Path

import pytest
from django.test import Client

from separation import catalog
from tests.makers import SHIPPED_PRICES

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
    assert body["prices"] == [
        {"service": service, "unit": unit, "amount_mcr": amount_mcr, "quantity": quantity}
        for service, unit, amount_mcr, quantity in sorted(SHIPPED_PRICES)
    ]
    assert body["max_duration_s"] > 0
    services = {service["name"]: service for service in body["services"]}
    assert services["separation"]["models"] == list(models)
    assert services["separation"]["available"] is True
    assert services["speaker_extraction"]["available"] is True
    assert services["speaker_extraction"]["models"][0] == "pyannote-wespeaker"
    tools = {tool["name"]: tool for tool in body["tools"]}
    finder = tools["pyannote-wespeaker"]
    assert (finder["task"], finder["available"]) == ("diarization", True)
    assert (finder["licence"], finder["commercial_use"]) == ("MIT AND CC-BY-4.0", True)
    assert "pyannote-wespeaker" not in models


def test_a_model_without_weights_is_listed_as_unavailable(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path))
    body = client.get("/v1/catalog").json()
    # Those that come with the software have nothing to take apart.
    came_along = {model["name"] for model in body["models"] if model["available"]}
    assert came_along == {model.name for model in catalog.models() if model.own_file}
    assert {stem["available"] for stem in body["stems"]} == {False}
    able = {tool["name"] for tool in body["tools"] if tool["available"]}
    assert able == {"echo-prediction", "late-reverb"}  # which come with the software
    # Of what needs no others.
    services = [service["name"] for service in body["services"] if service["available"]]
    assert services == ["enhancement", "conversion"]


def test_the_schema_names_every_path(client: Client):
    schema = client.get("/v1/openapi.json").json()
    assert "/v1/jobs/{job_uuid}/events" in schema["paths"]
    listing = schema["paths"]["/v1/jobs"]["get"]
    assert listing["summary"] == "Jobs, newest first."
    page = listing["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    assert page == "#/components/schemas/PaginatedJobList"
    error = listing["responses"]["default"]["content"]["application/json"]["schema"]["$ref"]
    assert error == "#/components/schemas/Error"
    download = schema["paths"]["/v1/downloads/{token}"]["get"]["responses"]
    assert ("content" in download["206"], "content" in download["416"]) == (True, False)
    # Each content type of a timeline, the JSON among them as what it is.
    for path in ("/v1/jobs/{job_uuid}/timeline", "/v1/timelines/{token}"):
        texts = schema["paths"][path]["get"]["responses"]["200"]["content"]
        assert {name: body["schema"]["type"] for name, body in texts.items()} == {
            "text/plain": "string",
            "application/json": "object",
            "text/csv": "string",
            "text/vtt": "string",
        }
    assert schema["components"]["securitySchemes"]["apiKey"]["name"] == "X-API-Key"


@pytest.mark.parametrize("path", ["/", "/v1/docs", "/livez", "/readyz"])
def test_pages_answer(client: Client, path: str):
    response = client.get(path)
    assert response.status_code == 200
    assert "Content-Security-Policy" in response.headers


def test_every_call_says_what_it_does(client: Client):
    """In words of its own: without a docstring, it would have that of the base class."""
    paths = client.get("/v1/openapi.json").json()["paths"]
    summaries = [call["summary"] for calls in paths.values() for call in calls.values()]
    assert len(summaries) > 40
    assert sorted(set(summaries)) == sorted(summaries)
    assert "" not in summaries
