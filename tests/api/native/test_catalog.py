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
    assert (steps["deecho"]["tools"], steps["deecho"]["available"]) == (["echo-prediction"], True)


def test_stems_say_how_good_they_are(client: Client):
    body = client.get("/v1/catalog").json()
    stems = {one["name"]: one for one in body["stems"]}
    models = {one["name"]: one for one in body["models"]}
    vocals = stems["vocals"]
    assert (vocals["parent"], vocals["experimental"]) == ("", False)
    assert vocals["margin_db"] > 2
    assert (stems["kick"]["parent"], stems["kick"]["group"]) == ("drums", "drums")
    for one in vocals["quality"]:
        assert one["stem"] == "vocals"
        assert "vocals" in {made["stem"] for made in models[one["model"]]["quality"]}
        assert one["kind"] in {"real", "synthetic"}
        assert 0 <= one["wrong_share"] <= 1
        assert one["sdr_db"] < 100
    assert models["htdemucs"]["method"] == "network"
    assert models["htdemucs"]["seconds"] > 0
    [made] = [made for made in models["htdemucs"]["quality"] if made["stem"] == "vocals"]
    assert made == {key: vocals[key] for key in ("sdr_db", "margin_db", "experimental")} | {
        "stem": "vocals"
    }
