import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from accounts.sessions import SessionStore
from tests.makers import PASSWORD, make_user


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/", "/account/login/", "/account/", "/v1/catalog", "/v1/credits"]
)
@pytest.mark.parametrize(
    "cookie", ['"abcdefgh\\000"', '"\\000\\000"', "é" * 20, "x" * 5000, "A" * 32]
)
def test_any_cookie_is_answered(path: str, cookie: str):
    expected = Client().get(path).status_code
    response = Client().get(path, headers={"Cookie": f"sessionid={cookie}"})
    assert (response.status_code, expected < 500) == (expected, True)


@pytest.mark.django_db
def test_a_session_of_ours_is_one():
    person, client = make_user(), Client()
    client.post("/account/login/", {"login": person.email, "password": PASSWORD})
    key = client.cookies["sessionid"].value
    assert Session.objects.filter(session_key=key).exists()
    assert SessionStore(key)["_auth_user_id"] == str(person.pk)
    assert client.get("/account/").status_code == 200
