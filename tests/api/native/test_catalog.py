"""What is offered here, at which price."""

from typing import Any

import pytest
from django.test import Client

from billing.models import Price
from jobs.models import Service

pytestmark = pytest.mark.django_db


def test_services_have_the_callers_price(
    client: Client, alice: Any, alice_client: Client, charlie_client: Client
):
    Price.objects.create(service="separation", unit="per_call", amount_mcr=7, workspace=alice)
    for caller, price in (
        (alice_client, {"unit": "per_call", "amount_mcr": 7}),
        (charlie_client, {"unit": "per_second", "amount_mcr": 2_500}),
        (client, {"unit": "per_second", "amount_mcr": 2_500}),
    ):
        services = {one["name"]: one for one in caller.get("/v1/catalog").json()["services"]}
        assert list(services) == Service.values
        assert services["separation"]["price"] == {
            "service": "separation",
            "quantity": 1,
            **price,
        }
        assert services["analysis"]["price"]["amount_mcr"] == 100


def test_a_service_without_a_price_is_listed_without(client: Client, db: None):
    Price.objects.filter(service="analysis").delete()
    services = {one["name"]: one for one in client.get("/v1/catalog").json()["services"]}
    assert services["analysis"]["price"] is None


def test_steps_say_what_does_them(client: Client):
    steps = {one["name"]: one for one in client.get("/v1/catalog").json()["steps"]}
    assert set(steps) == {"denoise", "deecho", "dereverb"}
    assert steps["denoise"]["tools"] == ["deepfilternet3"]
    assert steps["denoise"]["title"]
    assert (steps["deecho"]["tools"], steps["deecho"]["available"]) == ([], False)
