from typing import Any

import pytest
from django.test import Client

from billing.ledger import credits_grant
from billing.selectors import available_by_source, wallet_get
from jobs.models import Asset
from tests.api.musicapi.calls import call

pytestmark = pytest.mark.django_db


def test_what_was_bought_in_packs_is_extra(client: Client, alice: Any, clip: Asset):
    def credits() -> dict[str, int]:
        response = client.get("/api/v1/get-credits")
        assert response.status_code == 200
        found: dict[str, int] = response.json()
        return found

    assert credits() == {"credits": 100, "extra_credits": 0}
    for source, amount_mcr in (("plan", 20_900), ("pack", 10_500), ("top_up", 600)):
        credits_grant(workspace=alice, amount_mcr=amount_mcr, source=source, idempotency_key=source)
    assert credits() == {"credits": 120, "extra_credits": 11}
    # What a waiting task holds cannot be spent.
    call(client, "stems/basic", clip)
    assert credits() == {"credits": 105, "extra_credits": 11}
    available = available_by_source(workspace=alice)
    assert sum(available.values()) == wallet_get(workspace=alice).available_mcr


def test_of_a_new_workspace(charlie: Any, stranger: Client):
    assert available_by_source(workspace=charlie) == {"test": 100_000}
    assert stranger.get("/api/v1/get-credits").json() == {"credits": 100, "extra_credits": 0}
