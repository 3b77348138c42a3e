"""Refunds, clawbacks, debt, takes: what comes back, in which order, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from accounts.audit import OPERATOR, SYSTEM
from accounts.models import AuditEvent, Workspace
from billing.clawbacks import capture_refund, credits_take, grant_clawback_sync
from billing.ledger import credits_grant, credits_hold, hold_capture, hold_release, lots_expire
from billing.models import Entry, Hold, Lot, Transaction
from billing.selectors import ledger_discrepancies
from config.errors import IdempotencyConflict, InsufficientCredits, ValidationFailed, WrongState
from tests.billing.books import available_and_debt, balances
from tests.makers import make_key, make_workspace

pytestmark = pytest.mark.django_db

PAST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _books_add_up(db: None) -> Any:
    yield
    assert ledger_discrepancies() == []


def grant(workspace: Workspace, amount_mcr: int, **fields: Any) -> Transaction:
    return credits_grant(
        workspace=workspace,
        amount_mcr=amount_mcr,
        source="pack",
        idempotency_key=str(uuid4()),
        **fields,
    )


def spend(workspace: Workspace, amount_mcr: int) -> UUID:
    job = hold(workspace, amount_mcr)
    hold_capture(job_uuid=job, amount_mcr=amount_mcr)
    return job


def hold(workspace: Workspace, amount_mcr: int) -> UUID:
    job = uuid4()
    credits_hold(workspace=workspace, job_uuid=job, amount_mcr=amount_mcr)
    return job


def claw_back(fact: Transaction, total_mcr: int) -> None:
    grant_clawback_sync(grant=fact, total_mcr=total_mcr, reason="Refunded")


def kinds(workspace: Workspace) -> list[tuple[str, int]]:
    entries = Entry.objects.filter(account__workspace=workspace, account__kind="wallet")
    return list(entries.order_by("pk").values_list("transaction__kind", "amount_mcr"))


class TestClawback:
    def test_what_is_left_of_the_grant_goes_first_then_the_soonest_to_expire(self):
        alice = make_workspace(credits=0)
        soon, late = datetime(2100, 1, 1, tzinfo=UTC), datetime(2100, 1, 2, tzinfo=UTC)
        bought = grant(alice, 100)
        grant(alice, 20, expires_at=late)
        grant(alice, 10, expires_at=soon)
        spend(alice, 30 + 40)
        grant(alice, 10, expires_at=late)
        grant(alice, 10, expires_at=soon)
        claw_back(bought, 75)
        assert list(Lot.objects.order_by("pk").values_list("remaining_mcr", flat=True)) == [
            *(0, 0, 0),
            *(5, 0),
        ]
        assert available_and_debt(alice) == (5, 0)

    def test_what_is_not_there_becomes_a_debt_and_new_credits_pay_it_first(self):
        alice = make_workspace(credits=0)
        bought = grant(alice, 100)
        spend(alice, 90)
        claw_back(bought, 100)
        assert (balances(alice), available_and_debt(alice)) == ((0, 0), (0, 90))
        grant(alice, 50)
        assert available_and_debt(alice) == (0, 40)
        grant(alice, 50)
        assert available_and_debt(alice) == (10, 0)
        assert kinds(alice) == [
            ("grant", 100),
            ("capture", -90),
            ("clawback", -10),
            ("grant", 50),
            ("repay", -50),
            ("grant", 50),
            ("repay", -40),
        ]

    def test_a_debt_refuses_every_hold_and_says_what_is_owed(self):
        alice = make_workspace(credits=0)
        bought = grant(alice, 2_500)
        spend(alice, 2_500)
        claw_back(bought, 2_500)
        with pytest.raises(
            InsufficientCredits, match=r"none are available, and 2\.5 are owed"
        ) as e:
            hold(alice, 1)
        assert e.value.data == {"required_mcr": 1, "available_mcr": 0, "debt_mcr": 2_500}
        assert Hold.objects.filter(state="pending").count() == 0

    def test_it_states_a_total_and_may_be_called_again_and_in_any_order(self):
        alice = make_workspace(credits=0)
        bought = grant(alice, 100)
        for total, available in [(30, 70), (30, 70), (100, 0), (50, 50), (50, 50), (0, 100)]:
            claw_back(bought, total)
            assert available_and_debt(alice) == (available, 0)
        assert Transaction.objects.filter(kind="clawback").count() == 4

    def test_a_running_job_keeps_its_credits_and_what_it_frees_pays_the_debt(self):
        alice = make_workspace(credits=0)
        bought = grant(alice, 100)
        job, other = hold(alice, 60), hold(alice, 30)
        claw_back(bought, 100)
        assert (balances(alice), available_and_debt(alice)) == ((90, 90), (0, 90))
        hold_release(job_uuid=job)
        assert (balances(alice), available_and_debt(alice)) == ((30, 30), (0, 30))
        hold_capture(job_uuid=other, amount_mcr=20)
        assert (balances(alice), available_and_debt(alice)) == ((0, 0), (0, 20))

    def test_a_dispute_that_was_won_pays_the_debt_first(self):
        alice = make_workspace(credits=0)
        bought = grant(alice, 100)
        spend(alice, 60)
        claw_back(bought, 100)
        assert available_and_debt(alice) == (0, 60)
        claw_back(bought, 70)
        assert available_and_debt(alice) == (0, 30)
        claw_back(bought, 0)
        assert available_and_debt(alice) == (40, 0)

    def test_what_had_expired_is_not_owed(self):
        alice = make_workspace(credits=0)
        bought = grant(alice, 100, expires_at=PAST)
        other = grant(alice, 40)
        lots_expire()
        claw_back(bought, 100)
        assert available_and_debt(alice) == (40, 0)
        assert Lot.objects.get(transaction=other).remaining_mcr == 40
        assert not Transaction.objects.filter(kind="clawback").exists()

    def test_what_comes_back_to_an_expired_lot_expires_again(self):
        alice = make_workspace(credits=0)
        bought = grant(alice, 100, expires_at=datetime(2100, 1, 1, tzinfo=UTC))
        claw_back(bought, 100)
        Lot.objects.update(expires_at=PAST)
        claw_back(bought, 0)
        assert available_and_debt(alice) == (100, 0)
        lots_expire()
        assert available_and_debt(alice) == (0, 0)
        claw_back(bought, 100)
        assert available_and_debt(alice) == (0, 0)

    def test_what_was_taken_from_another_lot_comes_back_as_one_of_its_own(self):
        """All that the grant's own lot had is free again: it has no room for more."""
        alice = make_workspace(credits=0)
        grant(alice, 60)
        bought = grant(alice, 100, expires_at=datetime(2100, 1, 1, tzinfo=UTC))
        job = hold(alice, 60)
        claw_back(bought, 100)
        assert available_and_debt(alice) == (0, 0)
        hold_release(job_uuid=job)
        claw_back(bought, 0)
        assert available_and_debt(alice) == (160, 0)
        lots = Lot.objects.order_by("pk").values_list("source", "amount_mcr", "remaining_mcr")
        assert list(lots) == [("pack", 60, 0), ("pack", 100, 100), ("reinstated", 60, 60)]

    @pytest.mark.parametrize("total_mcr", [-1, 101, 10**30, 50.0, float("nan"), True, None])
    def test_a_total_that_cannot_be_is_refused(self, total_mcr: Any):
        alice = make_workspace(credits=0)
        bought = grant(alice, 100)
        with pytest.raises(ValidationFailed, match="whole grant"):
            claw_back(bought, total_mcr)
        assert available_and_debt(alice) == (100, 0)
        assert not AuditEvent.objects.filter(action__startswith="credits.").exists()

    def test_another_workspace_is_not_touched(self):
        alice, bob = make_workspace(credits=0), make_workspace("Bob's", credits=7)
        bought = grant(alice, 100)
        spend(alice, 100)
        claw_back(bought, 100)
        assert available_and_debt(bob) == (7_000, 0)

    def test_it_is_written_to_the_audit_trail(self):
        alice = make_workspace(credits=0)
        bought = grant(alice, 100)
        spend(alice, 80)
        claw_back(bought, 50)
        event = AuditEvent.objects.get(action="credits.clawed_back")
        assert (event.actor_kind, event.target_uuid) == ("system", bought.uuid)
        assert event.data == {
            "total_mcr": 50,
            "change_mcr": 50,
            "debt_mcr": 30,
            "reason": "Refunded",
        }


class TestRefund:
    def refund(self, job: UUID, amount_mcr: Any, key: str = "r1", reason: str = "Noise") -> Any:
        return capture_refund(
            job_uuid=job, amount_mcr=amount_mcr, reason=reason, idempotency_key=key, actor=OPERATOR
        )

    def test_the_credits_come_back_without_an_end(self):
        alice = make_workspace(credits=0)
        grant(alice, 100, expires_at=datetime(2100, 1, 1, tzinfo=UTC))
        job = spend(alice, 80)
        fact = self.refund(job, 50)
        assert fact.reverses == Transaction.objects.get(kind="capture")
        lot = Lot.objects.get(source="refund")
        assert (lot.amount_mcr, lot.remaining_mcr, lot.expires_at) == (50, 50, None)
        assert available_and_debt(alice) == (70, 0)
        event = AuditEvent.objects.get(action="credits.refunded")
        assert (event.actor_kind, event.target_uuid) == ("operator", job)
        assert event.data == {"amount_mcr": 50, "reason": "Noise"}

    def test_a_charge_is_refunded_once(self):
        alice = make_workspace(credits=1)
        job = spend(alice, 100)
        facts = {self.refund(job, 60).pk for _ in range(3)}
        assert len(facts) == 1
        with pytest.raises(IdempotencyConflict):
            self.refund(job, 61)
        with pytest.raises(WrongState, match="refunded already"):
            self.refund(job, 40, key="r2")
        assert available_and_debt(alice) == (960, 0)

    def test_it_pays_a_debt_first(self):
        alice = make_workspace(credits=0)
        bought = grant(alice, 100)
        job = spend(alice, 100)
        claw_back(bought, 70)
        self.refund(job, 100)
        assert available_and_debt(alice) == (30, 0)

    def test_only_what_was_charged_can_be_refunded(self):
        alice = make_workspace(credits=1)
        pending, released, empty = hold(alice, 10), hold(alice, 10), hold(alice, 10)
        hold_release(job_uuid=released)
        hold_capture(job_uuid=empty, amount_mcr=0)
        charged = spend(alice, 10)
        for job in (pending, released, empty, uuid4()):
            with pytest.raises(WrongState, match="was not charged"):
                self.refund(job, 1)
        with pytest.raises(ValidationFailed, match=r"was charged 0\.01 credits"):
            self.refund(charged, 11)
        with pytest.raises(ValidationFailed, match="Say why"):
            self.refund(charged, 10, reason=" ")
        assert balances(alice) == (990, 10)
        assert not Transaction.objects.filter(kind="refund").exists()


class TestTake:
    def take(self, workspace: Workspace, amount_mcr: Any, key: str = "t", reason: str = "x") -> Any:
        return credits_take(
            workspace=workspace,
            amount_mcr=amount_mcr,
            reason=reason,
            idempotency_key=key,
            actor=OPERATOR,
        )

    def test_it_takes_once_what_is_available(self):
        alice = make_workspace(credits=1)
        hold(alice, 400)
        assert self.take(alice, 600).pk == self.take(alice, 600).pk
        assert balances(alice) == (400, 400)
        event = AuditEvent.objects.get(action="credits.taken")
        assert event.data == {"amount_mcr": 600, "reason": "x"}

    def test_it_takes_no_more(self):
        alice = make_workspace(credits=1)
        hold(alice, 400)
        grant(alice, 50, expires_at=PAST)
        with pytest.raises(InsufficientCredits, match=r"Only 0\.6 credits") as caught:
            self.take(alice, 601)
        assert caught.value.data == {"required_mcr": 601, "available_mcr": 600}
        assert Transaction.objects.filter(kind="adjust").count() == 0

    def test_it_needs_a_reason(self):
        alice = make_workspace(credits=1)
        for reason in ("", "  ", "x" * 201, "nul\x00"):
            with pytest.raises(ValidationFailed, match="reason"):
                self.take(alice, 1, reason=reason)
        assert balances(alice) == (1_000, 0)


class TestGrantByAnOperator:
    def test_it_needs_a_reason_and_is_written_down(self):
        alice = make_workspace(credits=0)
        with pytest.raises(ValidationFailed, match="Say why"):
            grant(alice, 5, actor=OPERATOR)
        fact = grant(alice, 5, actor=OPERATOR, reason="Sorry")
        event = AuditEvent.objects.get(action="credits.granted")
        assert (event.workspace_uuid, event.target_uuid) == (alice.uuid, fact.uuid)
        assert (event.actor_kind, event.data) == ("operator", {"amount_mcr": 5, "reason": "Sorry"})
        assert balances(alice) == (5, 0)

    def test_the_service_s_own_grants_are_in_the_ledger_only(self):
        grant(make_workspace(credits=0), 5, actor=SYSTEM)
        assert not AuditEvent.objects.filter(action__startswith="credits.").exists()


@pytest.mark.parametrize("amount", [0, -1, 10**15 + 1, 10**30, 1.0, float("nan"), True, "1", None])
def test_wrong_amounts_change_nothing(amount: Any):
    alice = make_workspace(credits=1)
    job = spend(alice, 100)
    with pytest.raises(ValidationFailed, match="positive whole number"):
        grant(alice, amount)
    with pytest.raises(ValidationFailed, match="positive whole number"):
        TestTake().take(alice, amount)
    with pytest.raises(ValidationFailed, match="positive whole number"):
        TestRefund().refund(job, amount)
    if amount not in (0, 10**15 + 1, 10**30) or amount is True:
        with pytest.raises(ValidationFailed, match="whole number"):
            hold(alice, amount)
    elif amount:
        with pytest.raises(InsufficientCredits):
            hold(alice, amount)
    assert balances(alice) == (900, 0)
    assert Transaction.objects.count() == 2
    assert Hold.objects.count() == 1


def test_a_lot_that_ends_while_the_wallet_is_locked_is_not_spent():
    alice = make_workspace(credits=0)
    grant(alice, 10, expires_at=datetime.now(UTC) - timedelta(microseconds=1))
    with pytest.raises(InsufficientCredits) as caught:
        hold(alice, 1)
    assert caught.value.data == {"required_mcr": 1, "available_mcr": 0}


def test_the_api_tells_what_is_owed():
    alice = make_workspace(credits=0)
    bought = grant(alice, 3_000)
    spend(alice, 1_000)
    held = hold(alice, 500)
    claw_back(bought, 3_000)
    client = Client(headers={"X-API-Key": make_key(alice)})
    assert client.get("/v1/credits").json() == {
        "credits": "0",
        "available_mcr": 0,
        "held_mcr": 500,
        "balance_mcr": 500,
        "debt_mcr": 1_500,
    }
    hold_release(job_uuid=held)
    newest = client.get("/v1/credits/ledger").json()["results"][0]
    assert (newest["kind"], newest["amount_mcr"], newest["balance_mcr"]) == ("repay", -500, 0)
