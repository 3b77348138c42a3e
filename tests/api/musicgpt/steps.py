"""Calls as customers make them."""

from typing import Any

from django.core.files.base import ContentFile
from django.test import Client

from jobs.models import Job
from tests.makers import make_wav

ROOT = "/api/public/v1"
URL = "https://media.example.org/song.wav"
JSON = "application/json"


def wav(*, seconds: float = 1.0, name: str = "song.wav", **options: Any) -> "ContentFile[bytes]":
    return ContentFile(make_wav(seconds=seconds, **options), name)


def send(client: Client, conversion: str, *, headers: Any = None, **fields: Any) -> Any:
    """As multipart/form-data."""
    return client.post(f"{ROOT}/{conversion}", fields, headers=headers or {})


def extract(client: Client, *, headers: Any = None, **fields: Any) -> Any:
    return send(client, "Extraction", headers=headers, **fields)


def by_id(client: Client, **query: Any) -> Any:
    return client.get(f"{ROOT}/byId", {"conversionType": "EXTRACTION", **query})


def by_user(client: Client, **query: Any) -> Any:
    return client.get(f"{ROOT}/byUser", query)


def job_of(response: Any) -> Job:
    assert response.status_code == 200, response.content
    return Job.objects.get(uuid=response.json()["task_id"])


def refused(response: Any, status: int) -> str:
    """The sentence of an error, once its body is known to be as all errors of this API."""
    body = response.json()
    assert response.status_code == status, body
    assert list(body) == ["success", "message", "error", "code"]
    assert body["success"] is False
    assert body["message"] == body["error"]
    sentence = body["message"]
    assert isinstance(sentence, str)
    assert sentence
    return sentence
