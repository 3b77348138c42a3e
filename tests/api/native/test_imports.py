from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from config.errors import LimitReached
from jobs.importing import import_cancel, import_create
from jobs.ingesting import run_next_ingest
from jobs.models import Ingest
from tests.fakes.http import Server, says
from tests.makers import make_key
from tests.upload_makers import make_upload

pytestmark = pytest.mark.usefixtures("no_beats")


def make_import(workspace: Any, url: str = "http://media.example.org/a.wav") -> Ingest:
    return import_create(workspace=workspace, api_key=None, url=url)


@pytest.fixture
def post(alice_client: Client) -> Callable[..., Any]:
    return lambda **body: alice_client.post("/v1/imports", body, content_type="application/json")


@pytest.mark.django_db
def test_an_import_from_order_to_asset(
    alice_client: Client, post: Callable[..., Any], media_server: Server
):
    url = f"{media_server.url}/a.wav?key=1"
    response = post(url=url)
    assert response.status_code == 202
    ordered = response.json()
    assert ordered == {
        "id": str(Ingest.objects.get().uuid),
        "state": "waiting",
        "url": url,
        "filename": "",
        "received_bytes": 0,
        "created_at": ordered["created_at"],
        "finished_at": None,
        "asset": None,
        "error": None,
    }
    assert run_next_ingest()
    path = f"/v1/imports/{ordered['id']}"
    found = alice_client.get(path).json()
    assert (found["state"], found["filename"], found["error"]) == ("ready", "a.wav", None)
    asset = alice_client.get(f"/v1/assets/{found['asset']['id']}").json()
    assert asset == found["asset"]
    assert alice_client.get("/v1/imports").json()["results"] == [found]
    # An import that has ended stays in the list, without an asset that is gone.
    assert alice_client.delete(f"/v1/assets/{asset['id']}").status_code == 204
    assert alice_client.get(path).json()["asset"] is None
    response = alice_client.delete(path)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "wrong_state")


@pytest.mark.django_db
def test_a_failed_import_says_why(
    alice_client: Client, post: Callable[..., Any], media_server: Server
):
    media_server.answer = says("404 Not Found")
    ordered = post(url=media_server.url, filename="mine.wav").json()
    assert run_next_ingest()
    found = alice_client.get(f"/v1/imports/{ordered['id']}").json()
    assert (found["state"], found["filename"], found["asset"]) == ("failed", "mine.wav", None)
    assert found["error"] == {
        "code": "bad_answer",
        "message": "The server of this address answered 404 instead of a file.",
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://0x7f.1/", "http://a@example.org/", "ftp://example.org/"]
)
def test_a_forbidden_address_is_refused_at_once(post: Callable[..., Any], url: str):
    response = post(url=url)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "address_not_allowed")
    assert Ingest.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": "http://example.org/" + "a" * 2000}, "url"),
        ({"url": "http://example.org/", "filename": "a" * 256}, "filename"),
        ({"url": "http://example.org/", "kind": "tus"}, "kind"),
    ],
)
def test_a_wrong_order_is_refused(post: Callable[..., Any], body: Any, field: str):
    response = post(**body)
    assert response.status_code == 400
    assert list(response.json()["error"]["fields"]) == [field]
    assert Ingest.objects.count() == 0


@pytest.mark.django_db
def test_there_is_an_end_to_open_imports(alice: Any, charlie: Any, settings: Any):
    settings.IMPORTS_OPEN = 2
    first = make_import(alice)
    make_import(alice)
    with pytest.raises(LimitReached) as caught:
        make_import(alice)
    assert caught.value.data == {"max_imports": 2}
    make_import(charlie)
    make_upload(charlie)
    make_import(charlie)
    import_cancel(workspace=alice, import_uuid=first.uuid)
    make_import(alice)
    assert Ingest.objects.filter(workspace=alice).count() == 3


@pytest.mark.django_db
def test_a_stranger_finds_no_import(alice: Any, alice_client: Client, charlie: Any):
    ingest = make_import(alice)
    upload = make_upload(alice)
    stranger = Client(headers={"X-API-Key": make_key(charlie)})
    for client, row in ((stranger, ingest), (alice_client, upload)):
        for method in (client.get, client.delete):
            response = method(f"/v1/imports/{row.uuid}")
            assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    assert stranger.get("/v1/imports").json()["results"] == []
    assert set(Ingest.objects.values_list("state", flat=True)) == {"waiting", "receiving"}
