from typing import Any

import pytest
from django.test import Client

from tests.api.musicapi.calls import SONIC, call, post, refusal
from tests.makers import make_key

pytestmark = pytest.mark.django_db


def test_without_a_key(clip: Any):
    missing = refusal(call(Client(), "vox", clip))
    assert missing == (401, "Authorization header is missing.")
    wrong = Client(headers={"Authorization": "Bearer ap_wrong"})
    assert refusal(call(wrong, "vox", clip)) == (401, "This API key is not valid.")
    for text in ("Basic YTpi", "Bearer", "Bearer ap_one ap_two"):
        strange = Client(headers={"Authorization": text})
        assert refusal(call(strange, "vox", clip)) == (401, "Invalid authorization format.")


def test_a_key_does_what_its_scopes_say(alice: Any, clip: Any):
    client = Client(headers={"Authorization": f"Bearer {make_key(alice, scopes=['jobs:read'])}"})
    for name in ("vox", "upload", "stems/full", "wav"):
        assert refusal(call(client, name, clip))[0] == 403
    assert refusal(client.get("/api/v1/get-credits"))[0] == 403


def test_what_is_not_there(client: Client):
    assert refusal(client.get(f"{SONIC}nothing"))[0] == 404
    assert refusal(client.get(f"{SONIC}vox"))[0] == 405
    assert refusal(client.post("/api/v1/get-credits"))[0] == 405
    assert refusal(Client().get(f"{SONIC}nothing"))[0] == 404
    assert refusal(client.get(SONIC.rstrip("/")))[0] == 404


def test_bodies_that_are_none(client: Client):
    path = f"{SONIC}vox"
    assert refusal(client.post(path, "{", content_type="application/json"))[0] == 400
    assert refusal(client.post(path, b"x", content_type="text/plain"))[0] == 415
    assert refusal(post(client, "vox", {"clip_id": "\0"}))[0] == 400
    assert refusal(post(client, "vox", {"clip_id": "x" * 10_000}))[0] == 400


def test_too_many_calls(client: Client, settings: Any):
    settings.RATE_LIMIT_PER_MINUTE = 1
    client.get("/api/v1/get-credits")
    response = client.get("/api/v1/get-credits")
    assert refusal(response)[0] == 429
    assert int(response.headers["Retry-After"]) > 0


def test_a_fault_of_ours_tells_nothing_of_itself(
    client: Client, clip: Any, monkeypatch: pytest.MonkeyPatch
):
    def break_down(**_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("api.musicapi.waiting.job_create", break_down)
    assert refusal(call(client, "vox", clip)) == (500, "Internal Server Error.")
