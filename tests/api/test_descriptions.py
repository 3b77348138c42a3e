"""Each description says what its API does: asked with what it allows and does not allow, no answer
is other than described. Its examples fit what they are examples of."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from hypothesis import HealthCheck, settings
from openapi_schema_validator import OAS30Validator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.descriptions import DESCRIBED, description
from config.wsgi import application
from tests.makers import make_key, make_workspace

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FEW = settings(
    max_examples=8,
    deadline=None,
    # The same questions each time: what is found is found by everybody.
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

# What tus calls its pieces.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


def described(api: str) -> Any:
    schema = schemathesis.openapi.from_dict(description(api))
    schema.app = application
    schema.location = "/openapi.json"
    return schema


NATIVE, NEURALSPACE, AUDIOPOD = map(described, ("native", "neuralspace", "audiopod"))
MUSICAPI, MUSICGPT, SUNOAPI = map(described, ("musicapi", "musicgpt", "sunoapi"))


@pytest.fixture
def key(db: None, settings: Any) -> str:
    settings.RATE_LIMIT_PER_MINUTE = 0
    # Who waits for a job would wait for long: nobody works here.
    settings.SYNC_WAIT_SECONDS = 0
    return make_key(make_workspace(credits=1000))


def ask(case: Any, key: str, header: str = "Authorization", before: str = "") -> None:
    case.call_and_validate(headers={header: before + key}, checks=CHECKS)


@NATIVE.parametrize()
@FEW
def test_native(case: Any, key: str):
    ask(case, key, "X-API-Key")


@NEURALSPACE.parametrize()
@FEW
def test_neuralspace(case: Any, key: str):
    ask(case, key)


@AUDIOPOD.parametrize()
@FEW
def test_audiopod(case: Any, key: str):
    ask(case, key, "X-API-Key")


@MUSICAPI.parametrize()
@FEW
def test_musicapi(case: Any, key: str):
    ask(case, key, before="Bearer ")


@MUSICGPT.parametrize()
@FEW
def test_musicgpt(case: Any, key: str):
    ask(case, key)


@SUNOAPI.parametrize()
@FEW
def test_sunoapi(case: Any, key: str):
    ask(case, key, before="Bearer ")


def test_all_are_made_without_a_warning():
    call_command("openapi")


@pytest.mark.parametrize("api", DESCRIBED)
def test_no_description_holds_the_paths_of_another_api(api: str):
    others = {path for other in DESCRIBED if other != api for path in description(other)["paths"]}
    paths = set(description(api)["paths"])
    assert paths
    assert paths.isdisjoint(others)


@pytest.mark.parametrize("api", DESCRIBED)
def test_examples_fit(api: str):
    root = description(api)
    examples = list(_examples(root))
    for schema, example in examples:
        validator = OAS30Validator({**schema, "components": root["components"]})
        assert list(validator.iter_errors(example)) == []
    if api != "native":
        assert examples


def _examples(node: Any) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Each example of a body, with its schema."""
    if isinstance(node, list):
        for item in node:
            yield from _examples(item)
    elif isinstance(node, dict):
        if "schema" in node and "examples" in node:
            for example in node["examples"].values():
                yield node["schema"], example["value"]
        for value in node.values():
            yield from _examples(value)
