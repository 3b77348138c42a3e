"""What the tests of this API have in common."""

from typing import Any

from django.test import Client

from jobs.models import Asset

SONIC = "/api/v1/sonic/"


def post(client: Client, name: str, body: Any, **headers: str) -> Any:
    return client.post(SONIC + name, body, content_type="application/json", headers=headers)


def call(client: Client, name: str, clip: Asset, **body: Any) -> Any:
    return post(client, name, {"clip_id": str(clip.uuid), **body})


def refusal(response: Any) -> tuple[int, str]:
    """The status of a refusal, which its body repeats, and its message."""
    body = response.json()
    assert list(body) == ["code", "message"]
    assert body["code"] == response.status_code
    return response.status_code, body["message"]
