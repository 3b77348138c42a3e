"""What the client knows is what the service says."""

import dataclasses
from typing import Any

import pytest
from django.test import Client as Browser
from stemwright import models
from stemwright._reading import name_of, read, to_json
from stemwright.errors import BadAnswer

# Where the service's description has another name.
DESCRIBED = {
    "Failure": "JobError",
    "Credits": "Wallet",
    "StemOffer": "Stem",
    "ModelOffer": "Model",
    "ToolOffer": "Tool",
    "ServiceOffer": "Service",
    "StepOffer": "Step",
    "Webhook": "WebhookShown",
    "Delivery": "DeliveryDetail",
}
KINDS = [
    kind
    for kind in vars(models).values()
    if isinstance(kind, type) and issubclass(kind, models.Told) and kind is not models.Told
]


@pytest.fixture
def schemas(client: Browser) -> Any:
    return client.get("/v1/openapi.json").json()["components"]["schemas"]


@pytest.fixture
def client() -> Browser:
    return Browser()


@pytest.mark.django_db
def test_each_field_of_the_service_is_known_and_none_is_made_up(schemas: Any):
    assert len(KINDS) > 15
    for kind in KINDS:
        described = schemas[DESCRIBED.get(kind.__name__, kind.__name__)]["properties"]
        fields = {name_of(one): one for one in dataclasses.fields(kind) if one.name != "more"}
        assert set(described) - set(fields) == set(), f"{kind.__name__}: see {models.__file__}"
        assert set(fields) - set(described) == set(), kind


@pytest.mark.django_db
def test_each_field_of_an_order_is_known(schemas: Any):
    for kind, name in (
        (models.Order, "OrderRequest"),
        (models.SpeakerOptions, "SpeakerOptionsRequest"),
    ):
        # A word of Python's.
        known = {"import" if one == "import_id" else one for one in kind.__annotations__}
        assert set(schemas[name]["properties"]) == known


def test_what_is_newer_is_kept():
    failure = read(models.Failure, {"code": "x", "message": "y", "advice": {"z": 1}})
    assert failure.more == {"advice": {"z": 1}}
    assert to_json(failure) == {"code": "x", "message": "y", "advice": {"z": 1}}


@pytest.mark.parametrize("body", [None, [], {}, {"code": "x"}])
def test_what_is_no_answer_of_the_service(body: Any):
    with pytest.raises(BadAnswer, match="no Failure"):
        read(models.Failure, body)
