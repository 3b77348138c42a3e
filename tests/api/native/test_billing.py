from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEvent
from billing.models import AutoTopUp, Pack, Payment
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.objects import StripeProblem
from tests.fakes.stripe.steps import available, buy_pack, settle, subscribe
from tests.makers import make_member, make_shop, make_token

pytestmark = pytest.mark.django_db

WISH = {
    "is_enabled": True,
    "threshold_credits": "12.5",
    "pack": "starter",
    "monthly_ceiling_cents": 1000,
}


@pytest.fixture(autouse=True)
def _shop(db: None) -> None:
    make_shop()


def person(workspace: Any, role: str = "owner") -> Client:
    token = make_token(make_member(workspace, role), workspace)
    return Client(headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def owner(alice: Any) -> Client:
    return person(alice)


def send(
    client: Client, method: str, path: str, body: Any = None, *, key: str | None = None
) -> tuple[int, Any]:
    headers = {} if key is None else {"Idempotency-Key": key}
    response = getattr(client, method)(
        f"/v1/billing/{path}", body, "application/json", headers=headers
    )
    return response.status_code, response.json()


class TestShop:
    def test_anybody_may_look(self, fake_stripe: FakeStripe):
        Pack.objects.create(code="old", name="Old", credits_mcr=1, price_cents=1, is_active=False)
        shop = Client().get("/v1/billing/packs").json()
        assert [row["code"] for row in shop["packs"]] == ["starter", "studio", "label"]
        assert shop["packs"][0] == {
            "code": "starter",
            "name": "Starter",
            "credits": "10000",
            "credits_mcr": 10_000_000,
            "price_cents": 500,
            "currency": "usd",
            "expires_after_days": None,
            "is_available": True,
        }
        assert [row["code"] for row in shop["plans"]] == ["hobby", "pro"]

    def test_the_key_alone_opens_no_shop(
        self, owner: Client, fake_stripe: FakeStripe, settings: Any
    ):
        settings.STRIPE_WEBHOOK_SECRETS = []
        shop = Client().get("/v1/billing/packs").json()
        assert {row["is_available"] for row in shop["packs"] + shop["plans"]} == {False}
        status, answer = send(owner, "post", "checkout", {"pack": "starter"})
        assert (status, answer["error"]["code"]) == (503, "payments_unavailable")
        assert fake_stripe.front.calls == []

    def test_without_stripe_it_is_greyed_out(self, owner: Client):
        shop = Client().get("/v1/billing/packs").json()
        assert {row["is_available"] for row in shop["packs"] + shop["plans"]} == {False}
        for method, path, body in (
            ("post", "checkout", {"pack": "starter"}),
            ("post", "checkout", {"plan": "pro"}),
            ("post", "portal", {}),
            ("get", "invoices", None),
            ("put", "auto-top-up", WISH),
        ):
            status, answer = send(owner, method, path, body)
            assert (status, answer["error"]["code"]) == (503, "payments_unavailable")
        assert (Payment.objects.count(), AutoTopUp.objects.count()) == (0, 0)
        for path in ("payments", "subscription", "auto-top-up"):
            assert send(owner, "get", path)[0] == 200
        # What may wait for a card can be set up before.
        assert send(owner, "put", "auto-top-up", {**WISH, "is_enabled": False})[0] == 200


class TestCheckout:
    def test_from_the_click_to_the_credits(
        self, alice: Any, owner: Client, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        status, answer = send(owner, "post", "checkout", {"pack": "studio"})
        assert (status, set(answer)) == (201, {"url", "payment"})
        fake_stripe.pay(fake_stripe.session_at(answer["url"]))
        settle(fake_stripe, stripe_sender)
        assert owner.get("/v1/credits").json()["credits"] == "50100"
        (payment,) = send(owner, "get", "payments")[1]["results"]
        assert payment | {"created_at": "", "paid_at": ""} == {
            "id": answer["payment"],
            "kind": "pack",
            "status": "paid",
            "pack": "studio",
            "plan": None,
            "credits": "50000",
            "credits_mcr": 50_000_000,
            "amount_cents": 2_000,
            "currency": "usd",
            "returned_cents": 0,
            "failure": "",
            "created_at": "",
            "paid_at": "",
        }
        (invoice,) = send(owner, "get", "invoices")[1]["results"]
        assert (invoice["status"], invoice["amount_cents"]) == ("paid", 2_000)

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"pack": "none"}, "unknown_pack"),
            ({"plan": "none"}, "unknown_plan"),
            ({"pack": "old"}, "not_for_sale"),
            ({}, "validation_failed"),
            ({"pack": "starter", "plan": "pro"}, "validation_failed"),
            ({"pack": "starter", "amount_cents": 1}, "validation_failed"),
            ({"pack": 5.5}, "unknown_pack"),
            ({"pack": None}, "validation_failed"),
            ({"pack": "\u0000"}, "validation_failed"),
            ([], "validation_failed"),
        ],
    )
    def test_what_cannot_be_bought(
        self, owner: Client, fake_stripe: FakeStripe, body: Any, code: str
    ):
        Pack.objects.create(code="old", name="Old", credits_mcr=1, price_cents=1, is_active=False)
        status, answer = send(owner, "post", "checkout", body)
        assert (status, answer["error"]["code"]) == (400, code)
        assert (Payment.objects.count(), fake_stripe.front.calls) == (0, [])

    def test_stripe_does_not_answer(self, owner: Client, fake_stripe: FakeStripe):
        fake_stripe.fail("POST customers")
        status, answer = send(owner, "post", "checkout", {"pack": "starter"})
        assert (status, answer["error"]["code"]) == (503, "payment_provider_failed")

    def test_a_fault_of_stripes_shuts_nobody_out_for_a_day(
        self, owner: Client, fake_stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
    ):
        def broken(params: Any) -> Any:
            raise StripeProblem(500, "api_error", "x")

        with monkeypatch.context() as patch:
            patch.setattr(fake_stripe, "customer_create", broken)
            assert send(owner, "post", "checkout", {"pack": "starter"})[0] == 503
        # Stripe would repeat that answer under the same key.
        assert send(owner, "post", "checkout", {"pack": "starter"})[0] == 201
        assert len(fake_stripe.rows["customers"]) == 1

    @pytest.mark.parametrize("wish", [{"pack": "starter"}, {"plan": "pro"}])
    def test_a_repeated_call_under_one_key_is_one_payment(
        self, owner: Client, charlie: Any, fake_stripe: FakeStripe, wish: dict[str, str]
    ):
        first, second = (send(owner, "post", "checkout", wish, key="k") for _ in range(2))
        assert first[0] == 201
        assert first == second
        assert (Payment.objects.count(), len(fake_stripe.rows["checkout/sessions"])) == (1, 1)
        other = send(owner, "post", "checkout", {"pack": "studio"}, key="k")
        assert (other[0], other[1]["error"]["code"]) == (422, "idempotency_conflict")
        assert send(owner, "post", "checkout", wish, key="x" * 201)[0] == 400
        # Keys are each workspace's own; without one, each call is another payment.
        assert send(person(charlie), "post", "checkout", wish, key="k")[1] != first[1]
        assert send(owner, "post", "checkout", {"pack": "starter"})[1] != first[1]
        assert Payment.objects.count() == 3

    def test_what_failed_under_a_key_can_be_repeated(self, owner: Client, fake_stripe: FakeStripe):
        wish = {"pack": "starter"}
        fake_stripe.fail("POST checkout/sessions")
        assert send(owner, "post", "checkout", wish, key="k")[0] == 503
        first, second = (send(owner, "post", "checkout", wish, key="k") for _ in range(2))
        assert first == second
        assert first[0] == 201
        states = list(Payment.objects.order_by("pk").values_list("state", flat=True))
        assert states == ["failed", "pending"]

    def test_the_portal(self, owner: Client, fake_stripe: FakeStripe):
        status, answer = send(owner, "post", "portal")
        (customer,) = fake_stripe.rows["customers"]
        assert (status, answer) == (200, {"url": f"https://billing.stripe.test/{customer}"})

    def test_a_key_buys_nothing(self, alice_client: Client, fake_stripe: FakeStripe):
        status, answer = send(alice_client, "post", "checkout", {"pack": "starter"})
        assert (status, answer["error"]["code"]) == (403, "not_allowed")
        assert Payment.objects.count() == 0

    def test_a_stranger_sees_none_of_it(self, alice: Any, charlie: Any, fake_stripe: FakeStripe):
        buy_pack(fake_stripe, alice)
        stranger = person(charlie)
        for path in ("payments", "invoices"):
            assert send(stranger, "get", path)[1]["results"] == []
        assert send(stranger, "get", "subscription")[1] == {"subscription": None}


class TestSubscription:
    def test_it_is_shown(
        self, alice: Any, owner: Client, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        subscribe(fake_stripe, alice)
        settle(fake_stripe, stripe_sender)
        found = send(owner, "get", "subscription")[1]["subscription"]
        assert found.pop("current_period_end")
        assert found == {"plan": "hobby", "status": "active", "cancel_at_period_end": False}
        status, answer = send(owner, "post", "checkout", {"plan": "pro"})
        assert (status, answer["error"]["code"]) == (409, "wrong_state")


class TestAutoTopUp:
    def test_it_is_set_and_shown(
        self, alice: Any, owner: Client, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        buy_pack(fake_stripe, alice)
        assert send(owner, "get", "auto-top-up") == (200, {"auto_top_up": None})
        expected = {
            "is_enabled": True,
            "threshold_credits": "12.5",
            "threshold_mcr": 12_500,
            "pack": "starter",
            "monthly_ceiling_cents": 1000,
            "disabled_reason": "",
        }
        assert send(owner, "put", "auto-top-up", WISH) == (200, {"auto_top_up": expected})
        assert send(owner, "get", "auto-top-up") == (200, {"auto_top_up": expected})
        event = AuditEvent.objects.get(action="auto_top_up.changed")
        assert (event.actor_kind, event.workspace_uuid) == ("user", alice.uuid)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"threshold_credits": "0"}, "threshold_mcr"),
            ({"threshold_credits": "-1"}, "threshold_credits"),
            ({"threshold_credits": "NaN"}, "threshold_credits"),
            ({"threshold_credits": "1e3"}, "threshold_credits"),
            ({"threshold_credits": "1.2345"}, "threshold_credits"),
            ({"threshold_credits": "9999999999"}, "threshold_mcr"),
            ({"threshold_mcr": 5}, "threshold_mcr"),
            ({"monthly_ceiling_cents": 0}, "monthly_ceiling_cents"),
            ({"monthly_ceiling_cents": -500}, "monthly_ceiling_cents"),
            ({"monthly_ceiling_cents": 10**30}, "monthly_ceiling_cents"),
            ({"monthly_ceiling_cents": 499}, "monthly_ceiling_cents"),
            ({"monthly_ceiling_cents": 10.5}, "monthly_ceiling_cents"),
            ({"is_enabled": "perhaps"}, "is_enabled"),
            ({"workspace": "other"}, "workspace"),
        ],
    )
    def test_bad_wishes_have_an_error_of_their_own(
        self,
        alice: Any,
        owner: Client,
        fake_stripe: FakeStripe,
        changes: dict[str, Any],
        field: str,
    ):
        buy_pack(fake_stripe, alice)
        status, answer = send(owner, "put", "auto-top-up", {**WISH, **changes})
        assert (status, list(answer["error"]["fields"])) == (400, [field])
        assert AutoTopUp.objects.count() == 0

    def test_a_body_with_nan_is_no_json(self, owner: Client, fake_stripe: FakeStripe):
        body = '{"is_enabled": true, "threshold_mcr": NaN, "pack": "starter"}'
        assert send(owner, "put", "auto-top-up", body)[0] == 400

    def test_an_unknown_pack(self, owner: Client, fake_stripe: FakeStripe):
        status, answer = send(owner, "put", "auto-top-up", {**WISH, "pack": "none"})
        assert (status, answer["error"]["code"]) == (400, "unknown_pack")

    def test_it_needs_a_saved_card(self, alice: Any, owner: Client, fake_stripe: FakeStripe):
        status, answer = send(owner, "put", "auto-top-up", WISH)
        assert (status, answer["error"]["code"]) == (409, "no_saved_card")
        send(owner, "post", "portal")
        status, answer = send(owner, "put", "auto-top-up", WISH)
        assert (status, answer["error"]["code"]) == (409, "no_saved_card")
        assert (AutoTopUp.objects.count(), available(alice)) == (0, 100)
