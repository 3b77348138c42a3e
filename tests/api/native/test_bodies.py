"""Bodies that are broken, huge or hostile are the caller's fault, never a 500."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from jobs.models import Asset, Job
from tests.makers import make_wav

pytestmark = pytest.mark.django_db

NO_ID = "00000000-0000-4000-8000-000000000000"


def post_json(client: Client, body: str | bytes) -> Any:
    return client.post("/v1/jobs", body, content_type="application/json")


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[" * 100_000,
        '{"asset": ' * 100_000,
        '{"asset": NaN}',
        '{"asset": -Infinity}',
        '{"asset": ' + "9" * 5000 + "}",
        b"\xff\xfe",
        "[]",
        "[{}]",
        "7",
        "null",
        '"text"',
        '{"asset": "\\ud800"}',
        '{"service": "\\ud800"}',
        '{"\\ud800": 1}',
    ],
    ids=lambda body: body[:20],
)
def test_json_that_is_no_order_is_refused(alice_client: Client, body: str | bytes):
    response = post_json(alice_client, body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "validation_failed")


@pytest.mark.parametrize("depth", range(200, 1100, 20))
def test_no_depth_of_nesting_is_our_fault(alice_client: Client, depth: int):
    response = post_json(alice_client, '{"asset": ' + "[" * depth + "]" * depth + "}")
    assert response.status_code == 400


@pytest.mark.parametrize("field", ["asset", "service", "model", "format", "stems"])
def test_nul_characters_are_refused(alice_client: Client, field: str):
    body: dict[str, Any] = {"asset": NO_ID, field: "a\0b"}
    if field == "stems":
        body = {"asset": NO_ID, "stems": ["a\0b"]}
    response = alice_client.post("/v1/jobs", body, content_type="application/json")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "validation_failed")
    assert [name.partition(".")[0] for name in error["fields"]] == [field]


def test_a_nul_character_in_a_filename_is_dropped(alice_client: Client):
    head = 'Content-Disposition: form-data; name="file"; filename="a\0b.wav"'
    body = b"\r\n".join([b"--B", head.encode(), b"", make_wav(), b"--B--", b""])
    response = alice_client.post("/v1/assets", body, content_type="multipart/form-data; boundary=B")
    assert (response.status_code, response.json()["filename"]) == (201, "ab.wav")


def test_json_that_is_too_large_is_refused(alice_client: Client):
    response = post_json(alice_client, b'{"model": "' + b"x" * 60_000_000 + b'"}')
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")
    assert Job.objects.count() == 0


def test_a_form_field_that_is_too_large_is_refused(alice_client: Client):
    response = alice_client.post("/v1/assets", {"file": "x" * 3_000_000})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "form",
    [
        {f"file{number}": SimpleUploadedFile("a.wav", b"x") for number in range(101)},
        {f"field{number}": "x" for number in range(1_001)},
    ],
    ids=["files", "fields"],
)
def test_a_form_of_too_many_parts_is_refused(alice_client: Client, form: dict[str, Any]):
    response = alice_client.post("/v1/assets", form)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "validation_failed")
    assert Asset.objects.count() == 0


@pytest.mark.parametrize("path", ["/v1/assets", "/v1/jobs"])
def test_a_body_of_unknown_length_is_refused(alice_client: Client, path: str):
    # As gunicorn hands on a chunked request.
    response = alice_client.generic(
        "POST",
        path,
        content_type="multipart/form-data; boundary=B",
        headers={"Transfer-Encoding": "chunked"},
    )
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (411, "length_required")
    assert "Content-Length" in error["message"]


def test_fields_that_there_are_not_are_named(alice_client: Client):
    body = {"asset": NO_ID, "stem": ["vocals"], "volume": 11}
    for path in ("/v1/jobs", "/v1/jobs/estimate"):
        response = alice_client.post(path, body, content_type="application/json")
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "validation_failed")
        no_such = ["There is no such field."]
        assert error["fields"] == {"stem": no_such, "volume": no_such}


def test_a_misspelt_field_is_named_beside_other_problems(alice_client: Client):
    body = {"aset": NO_ID, "stems": []}
    response = alice_client.post("/v1/jobs", body, content_type="application/json")
    assert response.json()["error"]["fields"] == {
        "stems": ["This list may not be empty."],
        "aset": ["There is no such field."],
    }
