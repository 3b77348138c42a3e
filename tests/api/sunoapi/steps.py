"""Calls as customers make them."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.test import Client

from accounts.models import Workspace
from tests.makers import make_asset, make_wav

NOWHERE = "https://hooks.example.org/suno"
NO_ID = "00000000000040008000000000000000"


def post(client: Client, path: str, body: Any, **headers: str) -> Any:
    return client.post(path, body, content_type="application/json", headers=headers)


def upload(client: Client, content: bytes | None = None, **fields: str) -> Any:
    file = ContentFile(make_wav(seconds=0.2) if content is None else content, "song.wav")
    return client.post("/api/file-stream-upload", {"file": file, **fields})


def pair_of(workspace: Workspace, folder: Path, **values: Any) -> dict[str, str]:
    """The names of a recording that was uploaded."""
    asset = make_asset(workspace, folder, **values)
    return {"taskId": asset.uuid.hex, "audioId": str(asset.uuid)}


def ordered(client: Client, path: str, body: Mapping[str, Any], **headers: str) -> str:
    """The task of an order that is taken."""
    response = post(client, path, {"callBackUrl": NOWHERE, **body}, **headers)
    assert (response.status_code, response.json()["code"]) == (200, 200), response.json()
    task: str = response.json()["data"]["taskId"]
    return task


def separated(client: Client, body: Mapping[str, Any], **headers: str) -> str:
    return ordered(client, "/api/v1/vocal-removal/generate", body, **headers)


def info(client: Client, kind: str, task: str) -> dict[str, Any]:
    response = client.get(f"/api/v1/{kind}/record-info", {"taskId": task})
    assert (response.status_code, response.json()["code"]) == (200, 200), response.json()
    data: dict[str, Any] = response.json()["data"]
    return data


def refused(response: Any) -> tuple[int, str]:
    """The code and the text of an error; its body holds nothing else but null."""
    body = response.json()
    assert body.pop("success", False) is False
    assert set(body) == {"code", "msg", "data"}
    assert body["data"] is None
    assert response.status_code == (401 if body["code"] == 401 else 200)
    assert response.headers["Content-Type"] == "application/json"
    return body["code"], body["msg"]


def signature(secret: str, task: str, timestamp: str) -> str:
    """As a customer computes it, who knows nothing of our code."""
    digest = hmac.new(secret.encode(), f"{task}.{timestamp}".encode(), hashlib.sha256)
    return base64.b64encode(digest.digest()).decode()
