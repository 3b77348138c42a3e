import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/v1/nothing", "/api/v1/nothing", "/stripe/nothing"])
def test_a_program_is_told_in_the_envelope(client: Client, path: str):
    response = client.get(path)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/nothing", "/account/nothing", "/pricing/v1/"])
def test_a_person_sees_a_page(client: Client, path: str):
    response = client.get(path)
    assert (response.status_code, response.headers["Content-Type"]) == (
        404,
        "text/html; charset=utf-8",
    )
    assert "<h1>There is no such page</h1>" in response.text


def test_our_own_failure_is_a_page_that_tells_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("web.public.landing.render", lambda *values: 1 / 0)
    response = Client(raise_request_exception=False).get("/")
    assert response.status_code == 500
    assert "<h1>Something went wrong on our side</h1>" in response.text
    assert "zero" not in response.text
