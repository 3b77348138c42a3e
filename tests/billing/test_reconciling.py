import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django_q.models import OrmQ

from accounts.audit import OPERATOR
from accounts.models import AuditEvent, Workspace
from billing import ledger, reconciling
from billing.clawbacks import capture_refund, grant_clawback_sync
from billing.ledger import credits_grant, credits_hold, hold_capture, lots_expire
from billing.models import (
    Account,
    Entry,
    Hold,
    HoldLot,
    KeySpend,
    Lot,
    Payment,
    Reconciliation,
    Transaction,
)
from billing.posting import account_get
from billing.reconciling import (
    is_reconciliation_due,
    ledger_reconcile,
    ledger_reconcile_if_due,
)
from billing.selectors import ledger_discrepancies
from jobs.management.commands.janitor import wake_reconciliation_if_due
from jobs.models import ENDED, Job
from jobs.tasks import ledger_reconcile as reconcile_task
from tests.billing.books import balances, without_triggers
from tests.billing.test_ledger_keys import make_capped_key
from tests.makers import make_asset, make_job, make_workspace


def make_busy_books() -> Workspace:
    """Something of everything."""
    workspace = make_workspace(credits=1)
    key = make_capped_key(workspace, None)
    jobs = [uuid4() for _ in range(3)]
    for job in jobs:
        credits_hold(workspace=workspace, job_uuid=job, amount_mcr=100, api_key=key)
    for job in jobs[:2]:
        hold_capture(job_uuid=job, amount_mcr=100)
    capture_refund(
        job_uuid=jobs[0], amount_mcr=100, reason="x", idempotency_key="x", actor=OPERATOR
    )
    credits_grant(
        workspace=workspace,
        amount_mcr=50,
        source="promo",
        idempotency_key="promo",
        expires_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    lots_expire()
    fact = Transaction.objects.get(kind="grant", idempotency_key__startswith="test:")
    grant_clawback_sync(grant=fact, total_mcr=1_000, reason="x")
    assert ledger_discrepancies() == []
    return workspace


def add_to_wallet(amount_mcr: int) -> None:
    Account.objects.filter(kind="wallet").update(posted_mcr=F("posted_mcr") + amount_mcr)


DAMAGES: dict[str, tuple[Callable[[], object], set[str]]] = {
    "a balance": (
        lambda: add_to_wallet(1),
        {
            "balance is not the sum of its entries",
            "lots do not cover what is not held",
            "credits are available beside a debt",
        },
    ),
    "a wallet's hold": (
        lambda: Account.objects.filter(kind="wallet").update(held_mcr=F("held_mcr") - 1),
        {
            "held is not the sum of pending holds",
            "lots do not cover what is not held",
            "credits are available beside a debt",
        },
    ),
    "an entry": (
        lambda: Entry.objects.filter(account__kind="sales", amount_mcr=-100).update(amount_mcr=-99),
        {
            "transaction does not sum to zero",
            "balance is not the sum of its entries",
            "entry does not continue its balance",
        },
    ),
    "a transaction without entries": (
        lambda: Transaction.objects.create(
            workspace=Workspace.objects.get(), kind="adjust", idempotency_key="y", fingerprint="y"
        ),
        {"transaction has no entries"},
    ),
    "a capture": (
        lambda: Hold.objects.filter(state="captured").update(captured_mcr=99),
        {"capture is not what its hold says", "refund exceeds its charge"}
        | {"key spend is not the sum of its holds"},
    ),
    "a hold's lots": (
        lambda: HoldLot.objects.filter(hold__state="captured").delete(),
        {"hold is not the sum of its lots"},
    ),
    "a lot": (
        lambda: Lot.objects.filter(source="test").update(spent_mcr=F("spent_mcr") - 1),
        {"lot is not the sum of its parts"},
    ),
    "what a lot granted": (
        lambda: Lot.objects.filter(source="refund").update(
            amount_mcr=F("amount_mcr") + 1, spent_mcr=F("spent_mcr") + 1
        ),
        {"lot is not what its transaction granted"},
    ),
    "what expired": (
        lambda: Lot.objects.filter(source="promo").update(
            expired_mcr=F("expired_mcr") - 1, spent_mcr=F("spent_mcr") + 1
        ),
        {"expired lots are not what was booked as expired"},
    ),
    "what was clawed back": (
        lambda: Lot.objects.filter(source="test").update(clawed_back_mcr=999),
        {"clawed back lots are not what was booked so"},
    ),
    "what a key spent": (
        lambda: KeySpend.objects.update(spent_mcr=F("spent_mcr") + 1),
        {"key spend is not the sum of its holds"},
    ),
    "what a key spent, gone": (
        lambda: KeySpend.objects.all().delete(),
        {"key spend is not the sum of its holds"},
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("what", DAMAGES)
def test_it_finds_damage(what: str):
    make_busy_books()
    damage, sentences = DAMAGES[what]
    with without_triggers():
        damage()
    assert {sentence for sentence, _ in ledger_discrepancies()} == sentences


@pytest.mark.django_db
def test_it_finds_money_on_the_account_of_a_stranger(monkeypatch: pytest.MonkeyPatch):
    """As a mistake in the code would book it: all sums are right."""
    alice, charlie = make_workspace("Alice's"), make_workspace("Charlie's")
    job = uuid4()
    credits_hold(workspace=alice, job_uuid=job, amount_mcr=100)
    monkeypatch.setattr(ledger, "account_get", lambda _, kind: account_get(charlie, kind))
    hold_capture(job_uuid=job, amount_mcr=100)
    entry = Entry.objects.get(account__workspace=charlie, account__kind="sales")
    assert ledger_discrepancies() == [("entry is on the account of another workspace", entry.pk)]


@pytest.mark.django_db
def test_it_finds_a_payment_that_is_paid_and_brought_nothing():
    payment = Payment.objects.create(
        workspace=make_workspace(),
        kind="pack",
        credits_mcr=1_000,
        amount_cents=100,
        currency="usd",
    )
    rows = Payment.objects.filter(pk=payment.pk)
    with pytest.raises(IntegrityError, match="payment_paid_is_granted"), transaction.atomic():
        rows.update(state="paid")
    assert ledger_discrepancies() == []
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("ALTER TABLE billing_payment DROP CONSTRAINT payment_paid_is_granted")
    rows.update(state="paid")
    assert ledger_discrepancies() == [("paid payment has no grant", payment.pk)]


@pytest.mark.django_db
@pytest.mark.parametrize("state", ENDED)
def test_it_finds_the_hold_of_a_job_that_has_ended(tmp_path: Path, state: str):
    alice = make_workspace()
    job = make_job(alice, make_asset(alice, tmp_path))
    assert ledger_discrepancies() == []
    Job.objects.filter(pk=job.pk).update(state=state)
    hold = Hold.objects.get()
    assert ledger_discrepancies() == [("hold of a job that has ended is pending", hold.pk)]


@pytest.mark.django_db
class TestReconciliation:
    def test_what_is_found_is_kept_and_logged(self, monkeypatch: pytest.MonkeyPatch):
        logged: list[dict[str, Any]] = []
        monkeypatch.setattr(
            reconciling.log, "error", lambda event, **data: logged.append({"event": event, **data})
        )
        make_workspace(credits=1)
        assert ledger_reconcile().discrepancies == []
        with without_triggers():
            add_to_wallet(1)
        wallet = Account.objects.get(kind="wallet")
        ledger_reconcile()
        row = Reconciliation.objects.latest("pk")
        assert sorted(row.discrepancies) == [
            ["balance is not the sum of its entries", wallet.pk],
            ["lots do not cover what is not held", wallet.pk],
        ]
        assert row.finished_at is not None
        assert row.finished_at >= row.started_at
        assert sorted((entry["event"], entry["row_id"]) for entry in logged) == [
            ("ledger_discrepancy", wallet.pk),
            ("ledger_discrepancy", wallet.pk),
        ]

    @pytest.mark.parametrize(
        ("now", "due_at"),
        [
            ("2026-03-29T03:00:00", "2026-03-29T03:00:00"),
            ("2026-03-29T02:59:59", "2026-03-28T03:00:00"),
            ("2026-03-29T23:59:59", "2026-03-29T03:00:00"),
            ("2027-01-01T00:00:00", "2026-12-31T03:00:00"),
        ],
    )
    def test_it_is_due_at_three(self, now: str, due_at: str):
        found = reconciling._due_at(datetime.fromisoformat(f"{now}Z"))
        assert found == datetime.fromisoformat(f"{due_at}Z")

    def test_it_is_due_once_a_night(self):
        assert is_reconciliation_due() is True
        assert ledger_reconcile_if_due() is not None
        assert is_reconciliation_due() is False
        assert ledger_reconcile_if_due() is None
        day = timedelta(days=1)
        Reconciliation.objects.update(
            started_at=F("started_at") - day, finished_at=F("finished_at") - day
        )
        assert is_reconciliation_due() is True

    def test_one_that_was_killed_is_repeated_after_a_while(self):
        row = Reconciliation.objects.create()
        row.refresh_from_db()
        if row.started_at - reconciling._due_at(row.started_at) > timedelta(hours=2):
            assert is_reconciliation_due() is False
            Reconciliation.objects.update(started_at=F("started_at") - timedelta(hours=1))
        else:
            Reconciliation.objects.update(started_at=F("started_at") - timedelta(days=1))
        assert is_reconciliation_due() is True

    def test_the_janitor_has_it_done(self, django_capture_on_commit_callbacks: Any):
        with django_capture_on_commit_callbacks(execute=True):
            wake_reconciliation_if_due()
        assert [task.key for task in OrmQ.objects.all()] == ["default"]
        reconcile_task()
        reconcile_task()
        assert Reconciliation.objects.count() == 1
        OrmQ.objects.all().delete()
        with django_capture_on_commit_callbacks(execute=True):
            wake_reconciliation_if_due()
        assert OrmQ.objects.count() == 0

    def test_the_command_tells_and_keeps_what_it_finds(self, capsys: Any):
        make_workspace(credits=1)
        call_command("reconcile")
        assert capsys.readouterr().out == "0 discrepancies\n"
        with without_triggers():
            Lot.objects.update(spent_mcr=1, remaining_mcr=998)
        lot, wallet = Lot.objects.get(), Account.objects.get(kind="wallet")
        with pytest.raises(CommandError, match="2 discrepancies"):
            call_command("reconcile")
        assert sorted(capsys.readouterr().err.splitlines()) == [
            f"lot is not the sum of its parts: {lot.pk}",
            f"lots do not cover what is not held: {wallet.pk}",
        ]
        assert [len(row.discrepancies) for row in Reconciliation.objects.order_by("pk")] == [0, 2]


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_checks_the_books():
    def reconcile(_: int) -> bool:
        try:
            return ledger_reconcile_if_due() is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(reconcile, range(16))) == 1
    assert Reconciliation.objects.count() == 1


@pytest.mark.django_db
class TestGrantCommand:
    def test_it_grants_and_writes_it_down(self, capsys: Any):
        alice = make_workspace(credits=0)
        call_command(
            *("credits_grant", str(alice.uuid), "12.345", "--reason", "A gift"),
            *("--expires-days", "30", "--json"),
        )
        told = json.loads(capsys.readouterr().out)
        fact = Transaction.objects.get(uuid=told.pop("transaction"))
        assert told == {"amount_mcr": 12_345, "available_mcr": 12_345, "debt_mcr": 0}
        lot = Lot.objects.get(transaction=fact)
        assert (lot.source, fact.reason) == ("operator", "A gift")
        assert lot.expires_at is not None
        assert timedelta(days=29) < lot.expires_at - lot.created_at < timedelta(days=31)
        event = AuditEvent.objects.get(action="credits.granted")
        assert (event.actor_kind, event.data) == (
            "operator",
            {"amount_mcr": 12_345, "reason": "A gift"},
        )

    def test_it_says_so_in_words(self, capsys: Any):
        alice = make_workspace(credits=1)
        call_command("credits_grant", str(alice.uuid), "7", "--reason", "A gift")
        assert capsys.readouterr().out == "Granted 7 credits; 8 are available.\n"

    @pytest.mark.parametrize(
        ("credits", "reason", "days", "sentence"),
        [
            ("0", "x", "1", "between 0.001"),
            ("0.000", "x", "1", "between 0.001"),
            ("-5", "x", "1", "decimals"),
            ("nan", "x", "1", "decimals"),
            ("inf", "x", "1", "decimals"),
            ("1e3", "x", "1", "decimals"),
            ("1.2345", "x", "1", "decimals"),
            ("1000000000", "x", "1", None),
            ("1000000000.001", "x", "1", "between 0.001"),
            ("999999999999.999", "x", "1", "between 0.001"),
            ("9999999999999", "x", "1", "decimals"),
            ("5", "  ", "1", "Say why"),
            ("5", "x" * 201, "1", "at most 200"),
            ("5", "x", "0", "between 1 and"),
            ("5", "x", "-1", "between 1 and"),
            ("5", "x", "999999999", "between 1 and"),
        ],
    )
    def test_it_refuses_nonsense(self, credits: str, reason: str, days: str, sentence: str | None):
        alice = make_workspace(credits=0)
        arguments = [
            *("credits_grant", str(alice.uuid), "--reason", reason, "--expires-days", days),
            *("--", credits),
        ]
        if sentence is None:
            call_command(*arguments)
            return
        with pytest.raises(CommandError, match=sentence):
            call_command(*arguments)
        assert balances(alice) == (0, 0)
        assert Transaction.objects.count() == 0

    @pytest.mark.parametrize("workspace", ["b6f5a1c0-4f5e-4c59-9d0c-0d6a3c8f1e27", "1", "x"])
    def test_it_needs_a_workspace(self, workspace: str):
        with pytest.raises(CommandError, match="no such workspace|invalid UUID"):
            call_command("credits_grant", workspace, "5", "--reason", "x")

    def test_the_first_credits_of_a_workspace_are_written_down_too(self, capsys: Any):
        call_command("workspace_create", "--name", "Alice's", "--credits", "5", "--json")
        event = AuditEvent.objects.get(action="credits.granted")
        assert event.data == {"amount_mcr": 5_000, "reason": "First credits"}
        with pytest.raises(CommandError, match="between 0 and"):
            call_command("workspace_create", "--name", "Bob's", "--credits", str(10**12))
        with pytest.raises(CommandError, match="must not be empty"):
            call_command("workspace_create", "--name", " ")
        assert Workspace.objects.count() == 1
