"""What broken clients and attackers send to any of the APIs."""

import io
import json
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from config.wsgi import application
from tests.makers import make_key

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def key(alice: Any) -> str:
    return make_key(alice)


def ask(key: str, path: str, *, kind: str, body: bytes = b"") -> tuple[int, bytes]:
    """Status and body, as the web server gets them: Django's client makes requests itself."""
    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": "POST" if body else "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": key,
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": io.BytesIO(body),
    }
    setup_testing_defaults(environ)
    statuses: list[str] = []

    def start(status: str, *rest: Any) -> Any:
        statuses.append(status)

    response = application(environ, start)
    content = b"".join(response)
    response.close()
    return int(statuses[0][:3]), content


@pytest.mark.django_db
@pytest.mark.parametrize("charset", ["zlib", "hex", "rot13", "punycode", "undefined", "utf-16"])
def test_texts_are_utf_8_whatever_is_said(key: str, charset: str):
    kind = f"{FORM}; charset={charset}"
    status, content = ask(key, "/api/public/v1/byUser?LastEvaluatedKey=%C3%A9", kind=kind)
    assert status == 422
    assert json.loads(content)["message"] == "LastEvaluatedKey: Take it from the page before."
    status, content = ask(key, "/api/v1/sonic/vox?a=b", kind=kind, body=b"clip_id=x")
    assert (status, json.loads(content)["message"]) == (404, "clip not found.")
