from typing import Any

import pytest
from django.test import Client

from accounts.models import Role, User
from billing.models import Payment
from tests.fakes.stripe import FakeStripe
from tests.makers import make_member, make_shop, make_token, make_workspace
from tests.web.conftest import sign_in
from tests.web.html import Page

pytestmark = pytest.mark.django_db

PATH = "/account/billing"


@pytest.fixture(autouse=True)
def _shop(db: None) -> None:
    make_shop()


def own(person: User) -> str:
    return str(person.memberships.get().workspace.uuid)


def test_a_pack_leads_to_stripes_page(signed_in: Client, person: User, fake_stripe: FakeStripe):
    page = signed_in.get("/account/").content.decode()
    assert "disabled" not in page
    assert f'<option value="{own(person)}">Studio</option>' in page
    assert Page(page).problems() == []
    response = signed_in.post(PATH, {"workspace": own(person), "pack": "starter"})
    payment = Payment.objects.get()
    assert response.status_code == 302
    assert response["Location"].startswith("http")
    assert (str(payment.workspace.uuid), payment.amount_cents) == (own(person), 500)


def test_who_may_not_buy_is_refused(fake_stripe: FakeStripe):
    workspace = make_workspace("Studio", credits=0)
    make_member(workspace, Role.DEVELOPER, email="dev@example.org")
    client = Client()
    sign_in(client, "dev@example.org")
    assert client.get(PATH).content.decode().count(" disabled") == 3
    for uuid in (str(workspace.uuid), "", "x"):
        response = client.post(PATH, {"workspace": uuid, "pack": "starter"})
        assert response.status_code == 404
        assert Page(response.content.decode()).problems() == []
    assert not Payment.objects.exists()


def test_nobody_buys_for_strangers(signed_in: Client, fake_stripe: FakeStripe):
    other = make_workspace("Other", credits=0)
    response = signed_in.post(PATH, {"workspace": str(other.uuid), "pack": "starter"})
    assert response.status_code == 404
    assert not Payment.objects.exists()


def test_checkouts_are_counted_as_through_the_api(
    signed_in: Client, person: User, fake_stripe: FakeStripe, settings: Any
):
    settings.RATE_LIMIT_PER_MINUTE = 2
    body = {"workspace": own(person), "pack": "starter"}
    responses = [signed_in.post(PATH, body) for _ in range(3)]
    assert [response.status_code for response in responses] == [302, 302, 429]
    assert int(responses[2].headers["Retry-After"]) >= 1
    assert Page(responses[2].content.decode()).problems() == []
    token = make_token(person, person.memberships.get().workspace)
    by_api = Client(headers={"Authorization": f"Bearer {token}"})
    response = by_api.post("/v1/billing/checkout", {"pack": "starter"}, "application/json")
    assert response.status_code == 429
    assert Payment.objects.count() == 2


@pytest.mark.parametrize("pack", ["nothing", "", "\x00"])
def test_an_unknown_pack_is_refused(
    signed_in: Client, person: User, fake_stripe: FakeStripe, pack: str
):
    response = signed_in.post(PATH, {"workspace": own(person), "pack": pack})
    assert response.status_code == 400
    assert not Payment.objects.exists()


def test_without_stripe_nothing_is_sold(signed_in: Client, person: User, settings: Any):
    settings.STRIPE_SECRET_KEY = ""
    response = signed_in.post(PATH, {"workspace": own(person), "pack": "starter"})
    assert response.status_code == 503
    assert not Payment.objects.exists()


def test_coming_back_from_stripe(signed_in: Client):
    for query, words in (
        ("?checkout=done", "Thank you."),
        ("?checkout=cancelled", "nothing was charged"),
        ("", "Credits on sale"),
    ):
        response = signed_in.get(PATH + query)
        assert response.status_code == 200
        assert words in response.content.decode()
        assert Page(response.content.decode()).problems() == []
