import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("came_from", "target"),
    [
        ("", "/"),
        ("http://testserver/app/?x=1", "/app/?x=1"),
        ("https://evil.example/app/", "/"),
        ("http://testserver//evil.example/", "/"),
        ("http://testserver", "/"),
        ("no address", "/"),
    ],
)
def test_it_leads_back_to_our_own_pages_only(client: Client, came_from: str, target: str):
    response = client.post("/preferences", {"theme": "dark"}, headers={"Referer": came_from})
    assert (response.status_code, response["Location"]) == (302, target)


def test_unknown_choices_change_nothing(client: Client):
    client.post("/preferences", {"theme": "pink", "language": "xx"})
    assert client.cookies.get("language") is None
    assert client.cookies["theme"]["max-age"] == 0


def test_programs_are_answered_in_english_whatever_they_prefer(client: Client):
    client.post("/preferences", {"language": "de"})
    page = client.get("/")
    assert page["Content-Language"] == "de"
    answer = client.get("/v1/catalog", headers={"Accept-Language": "de"})
    assert "Content-Language" not in answer
