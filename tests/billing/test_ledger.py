from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import Workspace
from billing.ledger import credits_grant, credits_hold, hold_capture, hold_release, lots_expire
from billing.models import Account, Entry, Hold, Lot, Transaction
from billing.selectors import ledger_discrepancies, ledger_list
from config.errors import IdempotencyConflict, InsufficientCredits, ValidationFailed
from tests.billing.books import balances, without_triggers
from tests.makers import make_workspace


def make_expired_grant(workspace: Workspace, amount_mcr: int) -> None:
    credits_grant(
        workspace=workspace,
        amount_mcr=amount_mcr,
        source="promo",
        idempotency_key="promo",
        expires_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.django_db
class TestLedger:
    def test_a_grant_can_be_spent(self):
        workspace = make_workspace(credits=100)
        assert balances(workspace) == (100_000, 0)
        assert ledger_discrepancies() == []

    def test_the_same_grant_again_is_one_grant(self):
        workspace = make_workspace(credits=0)
        for _ in range(3):
            credits_grant(workspace=workspace, amount_mcr=5, source="pack", idempotency_key="p1")
        assert balances(workspace) == (5, 0)
        assert Entry.objects.count() == 2

    def test_the_same_key_for_another_amount_is_refused(self):
        workspace = make_workspace(credits=0)
        credits_grant(workspace=workspace, amount_mcr=5, source="pack", idempotency_key="p1")
        with pytest.raises(IdempotencyConflict):
            credits_grant(workspace=workspace, amount_mcr=6, source="pack", idempotency_key="p1")
        assert balances(workspace) == (5, 0)

    @pytest.mark.parametrize("amount_mcr", [0, -1, 10**18])
    def test_a_grant_must_be_a_sensible_amount(self, amount_mcr: int):
        workspace = make_workspace(credits=0)
        with pytest.raises(ValidationFailed):
            credits_grant(
                workspace=workspace, amount_mcr=amount_mcr, source="x", idempotency_key="x"
            )
        assert Transaction.objects.count() == 0

    def test_hold_and_capture_move_the_credits_once(self):
        workspace, job = make_workspace(credits=100), uuid4()
        credits_hold(workspace=workspace, job_uuid=job, amount_mcr=60_000)
        assert balances(workspace) == (100_000, 60_000)
        assert hold_capture(job_uuid=job, amount_mcr=60_000) is True
        assert hold_capture(job_uuid=job, amount_mcr=60_000) is False
        assert hold_release(job_uuid=job) is False
        assert balances(workspace) == (40_000, 0)
        assert [entry.amount_mcr for entry in ledger_list(workspace=workspace)] == [
            -60_000,
            100_000,
        ]
        assert [entry.balance_mcr for entry in ledger_list(workspace=workspace)] == [
            40_000,
            100_000,
        ]
        assert ledger_discrepancies() == []

    def test_a_release_gives_everything_back(self):
        workspace, job = make_workspace(credits=100), uuid4()
        credits_hold(workspace=workspace, job_uuid=job, amount_mcr=60_000)
        assert hold_release(job_uuid=job) is True
        assert hold_release(job_uuid=job) is False
        assert hold_capture(job_uuid=job, amount_mcr=60_000) is False
        assert balances(workspace) == (100_000, 0)
        assert ledger_list(workspace=workspace).count() == 1
        assert ledger_discrepancies() == []

    def test_a_smaller_capture_frees_the_rest(self):
        workspace, job = make_workspace(credits=100), uuid4()
        credits_hold(workspace=workspace, job_uuid=job, amount_mcr=60_000)
        hold_capture(job_uuid=job, amount_mcr=10_000)
        assert balances(workspace) == (90_000, 0)
        assert ledger_discrepancies() == []

    def test_a_capture_beyond_the_hold_is_a_bug(self):
        workspace, job = make_workspace(credits=100), uuid4()
        credits_hold(workspace=workspace, job_uuid=job, amount_mcr=60_000)
        with pytest.raises(ValueError, match="exceed"):
            hold_capture(job_uuid=job, amount_mcr=60_001)
        assert balances(workspace) == (100_000, 60_000)

    def test_too_few_credits_change_nothing(self):
        workspace = make_workspace(credits=1)
        with pytest.raises(InsufficientCredits) as caught:
            credits_hold(workspace=workspace, job_uuid=uuid4(), amount_mcr=1_001)
        assert caught.value.data == {"required_mcr": 1_001, "available_mcr": 1_000}
        assert balances(workspace) == (1_000, 0)
        assert Hold.objects.count() == 0

    def test_held_credits_cannot_be_held_again(self):
        workspace = make_workspace(credits=1)
        credits_hold(workspace=workspace, job_uuid=uuid4(), amount_mcr=1_000)
        with pytest.raises(InsufficientCredits):
            credits_hold(workspace=workspace, job_uuid=uuid4(), amount_mcr=1)

    def test_a_free_job_needs_no_wallet(self):
        workspace, job = make_workspace(credits=0), uuid4()
        credits_hold(workspace=workspace, job_uuid=job, amount_mcr=0)
        assert hold_capture(job_uuid=job, amount_mcr=0) is False
        assert Hold.objects.count() == 0

    def test_the_lot_that_expires_first_is_spent_first(self):
        workspace, job, now = make_workspace(credits=0), uuid4(), datetime.now(UTC)
        for key, days in [("never", None), ("late", 20), ("soon", 10)]:
            credits_grant(
                workspace=workspace,
                amount_mcr=100,
                source=key,
                idempotency_key=key,
                expires_at=None if days is None else now + timedelta(days=days),
            )
        credits_hold(workspace=workspace, job_uuid=job, amount_mcr=250)
        left = dict(Lot.objects.values_list("source", "remaining_mcr"))
        assert left == {"soon": 0, "late": 0, "never": 50}
        hold_capture(job_uuid=job, amount_mcr=120)
        left = dict(Lot.objects.values_list("source", "remaining_mcr"))
        assert left == {"soon": 0, "late": 80, "never": 100}
        assert ledger_discrepancies() == []

    def test_expired_credits_cannot_be_spent(self):
        workspace = make_workspace(credits=1)
        make_expired_grant(workspace, 500)
        with pytest.raises(InsufficientCredits) as caught:
            credits_hold(workspace=workspace, job_uuid=uuid4(), amount_mcr=1_200)
        assert caught.value.data["available_mcr"] == 1_000
        assert ledger_discrepancies() == []

    def test_what_has_expired_leaves_the_wallet_once(self):
        workspace = make_workspace(credits=1)
        make_expired_grant(workspace, 500)
        assert lots_expire() == 1
        assert lots_expire() == 0
        assert balances(workspace) == (1_000, 0)
        newest = ledger_list(workspace=workspace).first()
        assert newest is not None
        assert (newest.transaction.kind, newest.amount_mcr) == ("expire", -500)
        assert ledger_discrepancies() == []

    def test_what_a_hold_has_drawn_expires_only_when_it_comes_back(self):
        workspace, job = make_workspace(credits=0), uuid4()
        soon = datetime.now(UTC) + timedelta(days=1)
        credits_grant(
            workspace=workspace,
            amount_mcr=500,
            source="promo",
            idempotency_key="p",
            expires_at=soon,
        )
        credits_hold(workspace=workspace, job_uuid=job, amount_mcr=300)
        Lot.objects.update(expires_at=datetime(2026, 1, 1, tzinfo=UTC))
        lots_expire()
        assert balances(workspace) == (300, 300)
        hold_release(job_uuid=job)
        lots_expire()
        assert balances(workspace) == (0, 0)
        assert ledger_discrepancies() == []

    def test_one_workspace_never_touches_another(self):
        alice, bob = make_workspace(credits=5), make_workspace("Bob's", credits=7)
        job = uuid4()
        credits_hold(workspace=alice, job_uuid=job, amount_mcr=5_000)
        hold_capture(job_uuid=job, amount_mcr=5_000)
        assert balances(bob) == (7_000, 0)


@pytest.mark.django_db
class TestDatabaseRules:
    """What the database refuses even if the code were wrong."""

    def test_entries_cannot_be_changed_or_deleted(self):
        make_workspace(credits=5)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            Entry.objects.update(amount_mcr=1)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            Entry.objects.all().delete()
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            Transaction.objects.update(reason="changed")

    def test_a_wallet_cannot_go_below_its_holds(self):
        workspace = make_workspace(credits=5)
        with (
            pytest.raises(IntegrityError, match="account_wallet_covers_holds"),
            transaction.atomic(),
        ):
            Account.objects.filter(workspace=workspace, kind="wallet").update(held_mcr=5_001)

    def test_a_balance_moves_only_with_an_entry(self):
        workspace = make_workspace(credits=5)
        wallets = Account.objects.filter(workspace=workspace, kind="wallet")
        with transaction.atomic(), connection.cursor() as cursor:
            wallets.update(posted_mcr=5_001)
            with pytest.raises(IntegrityError, match="stands at 5001, its entries at 5000"):
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            transaction.set_rollback(True)

    def test_an_entry_continues_the_balance_before_it(self):
        workspace = make_workspace(credits=5)
        wallet = Account.objects.get(workspace=workspace, kind="wallet")
        fact = Transaction.objects.create(
            workspace=workspace, kind="adjust", idempotency_key="bad", fingerprint="bad"
        )
        with (
            pytest.raises(IntegrityError, match="does not continue its balance of 5000"),
            transaction.atomic(),
        ):
            Entry.objects.create(transaction=fact, account=wallet, amount_mcr=1, balance_mcr=1)

    @pytest.mark.parametrize(
        ("change", "constraint"),
        [
            ({"remaining_mcr": 5_001}, "lot_parts_within_amount"),
            ({"remaining_mcr": -1}, "lot_remaining_within_amount"),
            ({"spent_mcr": 1}, "lot_parts_within_amount"),
            ({"expired_mcr": 1}, "lot_parts_within_amount"),
            ({"spent_mcr": -1}, "lot_parts_within_amount"),
            ({"clawed_back_mcr": 5_001}, "lot_clawed_back_within_amount"),
        ],
    )
    def test_a_lot_holds_no_more_than_it_came_with(self, change: dict[str, int], constraint: str):
        make_workspace(credits=5)
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            Lot.objects.update(**change)

    def test_a_second_hold_for_a_job_is_refused(self):
        workspace, job = make_workspace(credits=5), uuid4()
        credits_hold(workspace=workspace, job_uuid=job, amount_mcr=1)
        hold_release(job_uuid=job)
        with pytest.raises(IntegrityError, match="hold_job_unique"), transaction.atomic():
            credits_hold(workspace=workspace, job_uuid=job, amount_mcr=1)


@pytest.mark.django_db(transaction=True)
def test_entries_that_do_not_balance_cannot_be_committed():
    workspace = make_workspace(credits=5)
    wallet = Account.objects.get(workspace=workspace, kind="wallet")

    def adjust() -> None:
        with transaction.atomic():
            fact = Transaction.objects.create(
                workspace=workspace, kind="adjust", idempotency_key="bad", fingerprint="bad"
            )
            Entry.objects.create(transaction=fact, account=wallet, amount_mcr=1, balance_mcr=5_001)
            Account.objects.filter(pk=wallet.pk).update(posted_mcr=5_001)

    with pytest.raises(IntegrityError, match="not 0"):
        adjust()
    assert Transaction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_reconciliation_finds_a_lost_credit():
    workspace = make_workspace(credits=5)
    with without_triggers():
        Account.objects.filter(workspace=workspace, kind="wallet").update(posted_mcr=4_999)
    wallet = Account.objects.get(workspace=workspace, kind="wallet")
    assert sorted(ledger_discrepancies()) == [
        ("balance is not the sum of its entries", wallet.pk),
        ("lots do not cover what is not held", wallet.pk),
    ]
