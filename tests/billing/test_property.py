"""Thousands of random operations on the ledger and on a plain model of it, equal after each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    rule,
    run_state_machine_as_test,
)

from accounts.audit import OPERATOR
from accounts.models import ApiKey, Workspace
from billing import clawbacks, key_spending, ledger, posting
from billing.clawbacks import capture_refund, credits_take, grant_clawback_sync
from billing.ledger import credits_grant, credits_hold, hold_capture, hold_release, lots_expire
from billing.models import Account, Hold, Lot, Transaction
from billing.selectors import debt_get, ledger_discrepancies
from config.errors import AppError
from tests.billing.plain_books import PAST, PlainBooks, PlainLot, Refused

# Small amounts, so that what is there, what is asked for and what is allowed often meet exactly.
OPERATIONS = (
    ["grant", "hold", "capture", "claw_back"] * 3
    + ["release", "refund", "take", "let_time_pass", "expire"] * 2
    + ["grant_again", "hold_again", "wrong_amount"]
)
ABOUT_GRANTS = {"grant_again", "claw_back"}
ABOUT_HOLDS = {"hold_again", "capture", "release", "refund"}
CAP = 25
EXPIRIES = [None, None, datetime(2100, 1, 1, tzinfo=UTC), datetime(2100, 1, 2, tzinfo=UTC), PAST]
WRONG_AMOUNTS = [0, -1, 10**15 + 1, 10**30, 1.5, float("nan"), float("inf"), True, "7", None]

_STATE = """
SELECT w.id, json_build_object(
  'accounts', (SELECT json_object_agg(kind, json_build_array(posted_mcr, held_mcr))
     FROM billing_account WHERE workspace_id = w.id),
  'lots', (SELECT json_agg(json_build_array(l.source, l.amount_mcr, l.remaining_mcr, l.spent_mcr,
       l.expired_mcr, l.clawed_back_mcr, extract(epoch FROM l.expires_at)::bigint) ORDER BY l.id)
     FROM billing_lot l JOIN billing_account a ON a.id = l.account_id
     WHERE a.workspace_id = w.id),
  'holds', (SELECT json_object_agg(h.job_uuid, json_build_array(h.amount_mcr, h.captured_mcr,
       h.state, h.key_lineage)) FROM billing_hold h JOIN billing_account a ON a.id = h.account_id
     WHERE a.workspace_id = w.id),
  'key_spent', (SELECT json_object_agg(key_lineage, spent_mcr) FROM billing_keyspend
     WHERE spent_mcr <> 0
     AND key_lineage IN (SELECT lineage FROM accounts_apikey WHERE workspace_id = w.id)),
  'n_facts', (SELECT count(*) FROM billing_transaction WHERE workspace_id = w.id),
  'unbalanced', (SELECT count(*) FROM (SELECT FROM billing_entry
     GROUP BY transaction_id HAVING sum(amount_mcr) <> 0) e))
FROM accounts_workspace w WHERE w.id = ANY(%(workspaces)s)
"""


@dataclass
class Tenant:
    workspace: Workspace
    keys: dict[str, ApiKey]
    books: PlainBooks
    grants: dict[str, Transaction]


class LedgerMachine(RuleBasedStateMachine):
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.example = transaction.atomic()
        self.example.__enter__()
        self.tenants = [make_tenant(), make_tenant()]

    def teardown(self) -> None:
        try:
            assert ledger_discrepancies() == []
        finally:
            transaction.set_rollback(True)
            self.example.__exit__(None, None, None)

    # One rule, not one each: hypothesis leaves rules out of whole runs, and without grants or
    # holds nothing interesting happens.
    @rule(
        operation=st.sampled_from(OPERATIONS),
        who=st.integers(0, 1),
        which=st.integers(0, 9),
        amount=st.integers(1, 30),
        variant=st.integers(0, 9),
    )
    def step(self, operation: str, who: int, which: int, amount: int, variant: int) -> None:
        LedgerMachine.steps += 1
        tenant = self.tenants[who]
        if operation in ABOUT_GRANTS and not tenant.books.granted:
            operation = "grant"
        if operation in ABOUT_HOLDS and not tenant.books.holds:
            operation = "hold"
        getattr(self, operation)(tenant, which, amount, variant)
        self.compare()

    def grant(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        self._grant(tenant, str(uuid4()), 2 * amount, EXPIRIES[variant % len(EXPIRIES)])

    def grant_again(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        key = pick(tenant.books.granted, which)
        granted, expires_at = tenant.books.granted[key][1]
        self._grant(tenant, key, granted + variant % 2, expires_at)

    def hold(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        books, key = tenant.books, [None, "capped", "free"][which % 3]
        # Often exactly what is there, or what is allowed, or one more.
        if key == "capped" and variant < 6:
            amount = max(1, CAP - books.key_spent.get(key, 0) + variant % 2)
        elif variant < 2:
            amount = max(1, books.available + variant)
        self._hold(tenant, str(uuid4()), amount, key)

    def hold_again(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        self._hold(tenant, pick(tenant.books.holds, which), amount, None)

    def capture(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        job = pick(tenant.books.holds, which)
        held = tenant.books.holds[job].amount
        captured = [held, held, held, held // 2, held // 2, held - 1, 0, 0, held + 1, -1][variant]
        self.both(
            lambda: hold_capture(job_uuid=UUID(job), amount_mcr=captured),
            lambda: tenant.books.settle(job, captured, "captured"),
        )

    def release(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        job = pick(tenant.books.holds, which)
        self.both(
            lambda: hold_release(job_uuid=UUID(job)),
            lambda: tenant.books.settle(job, 0, "released"),
        )

    def refund(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        job = pick(tenant.books.holds, which)
        refunded = max(1, tenant.books.holds[job].captured - variant + 1)
        key = f"again:{job}" if variant % 3 else str(uuid4())
        self.both(
            lambda: capture_refund(
                job_uuid=UUID(job),
                amount_mcr=refunded,
                reason="because",
                idempotency_key=key,
                actor=OPERATOR,
            ),
            lambda: tenant.books.refund(job, refunded, key),
        )

    def claw_back(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        """To quarters of the grant; five of them are too much."""
        key = pick(tenant.books.granted, which)
        total = -(-tenant.books.granted[key][0].amount * (variant % 6) // 4)
        self.both(
            lambda: grant_clawback_sync(
                grant=tenant.grants[key], total_mcr=total, reason="A dispute"
            ),
            lambda: tenant.books.claw_back(key, total),
        )

    def take(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        key = "again" if variant < 2 else str(uuid4())
        self.both(
            lambda: credits_take(
                workspace=tenant.workspace,
                amount_mcr=amount,
                reason="because",
                idempotency_key=key,
                actor=OPERATOR,
            ),
            lambda: tenant.books.take(amount, key),
        )

    def let_time_pass(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        """A lot with an end comes to it; nothing else happens."""
        numbers = [n for n, lot in enumerate(tenant.books.lots) if ends_later(lot)]
        if numbers:
            number = numbers[which % len(numbers)]
            lots = Lot.objects.filter(account__workspace=tenant.workspace).order_by("pk")
            Lot.objects.filter(pk=lots[number].pk).update(expires_at=PAST)
            tenant.books.lots[number].expires_at = PAST

    def expire(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        self.both(lots_expire, self._expire_plainly)

    def wrong_amount(self, tenant: Tenant, which: int, amount: int, variant: int) -> None:
        wrong: Any = WRONG_AMOUNTS[which % len(WRONG_AMOUNTS)]
        workspace = tenant.workspace
        named: dict[str, Any] = {"idempotency_key": "x", "reason": "x"}
        operations: list[Callable[[], object]] = [
            lambda: credits_grant(workspace=workspace, amount_mcr=wrong, source="x", **named),
            lambda: credits_take(workspace=workspace, amount_mcr=wrong, actor=OPERATOR, **named),
            lambda: capture_refund(job_uuid=uuid4(), amount_mcr=wrong, actor=OPERATOR, **named),
            lambda: credits_hold(workspace=workspace, job_uuid=uuid4(), amount_mcr=wrong),
        ]
        error: str | None = "ValidationFailed"
        # Holding nothing is right, and nobody has as much as the huge ones.
        if variant % 4 == 3 and type(wrong) is int and wrong >= 0:
            error = "InsufficientCredits" if wrong else None
        self.both(operations[variant % 4], lambda: refuse(error))

    def both(self, real: Callable[[], object], plain: Callable[[], object]) -> None:
        """The same answer, or the same refusal."""
        expected = outcome(plain)
        actual = outcome(lambda: in_savepoint(real))
        assert actual == expected

    def compare(self) -> None:
        """All that the database holds of both workspaces is as in the model."""
        found = states(self.tenants)
        for tenant in self.tenants:
            assert found[tenant.workspace.pk] == plain_state(tenant)
            # A debt beside free credits would be one that they should have paid.
            assert not (tenant.books.debt and tenant.books.available)

    def _grant(self, tenant: Tenant, key: str, amount: int, expires_at: datetime | None) -> None:
        def real() -> None:
            tenant.grants[key] = credits_grant(
                workspace=tenant.workspace,
                amount_mcr=amount,
                source="test",
                idempotency_key=key,
                expires_at=expires_at,
            )

        self.both(real, lambda: tenant.books.grant(key, amount, expires_at))

    def _hold(self, tenant: Tenant, job: str, amount: int, key: str | None) -> None:
        self.both(
            lambda: credits_hold(
                workspace=tenant.workspace,
                job_uuid=UUID(job),
                amount_mcr=amount,
                api_key=tenant.keys[key] if key else None,
            ),
            lambda: tenant.books.hold(job, amount, key),
        )

    def _expire_plainly(self) -> int:
        has_due = [any(lot.is_due for lot in tenant.books.lots) for tenant in self.tenants]
        for tenant in self.tenants:
            tenant.books.expire()
        return sum(has_due)


def make_tenant() -> Tenant:
    workspace = Workspace.objects.create(name="Somebody's")
    caps = {"capped": CAP, "free": None}
    keys = {
        name: ApiKey.objects.create(
            workspace=workspace,
            name=name,
            key_id=uuid4().hex[:16],
            secret_hash=b"",
            monthly_cap_mcr=cap,
            lineage=uuid4(),
        )
        for name, cap in caps.items()
    }
    return Tenant(workspace, keys, PlainBooks(caps), {})


def pick(of: dict[str, Any], which: int) -> str:
    """One of the newest."""
    newest = list(of)[-5:]
    return newest[which % len(newest)]


def ends_later(lot: PlainLot) -> bool:
    return lot.expires_at is not None and lot.expires_at > PAST


def refuse(error: str | None) -> None:
    if error:
        raise Refused(error)


def in_savepoint(work: Callable[[], object]) -> object:
    with transaction.atomic():
        result = work()
        # What is otherwise checked at the commit, which never comes.
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        return None if isinstance(result, Transaction) else result


def outcome(work: Callable[[], object]) -> tuple[str, object]:
    try:
        return "done", work()
    except Refused as refusal:
        return "refused", str(refusal)
    except (AppError, IntegrityError, ValueError) as error:
        return "refused", type(error).__name__


def states(tenants: list[Tenant]) -> dict[int, dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(_STATE, {"workspaces": [tenant.workspace.pk for tenant in tenants]})
        rows = cursor.fetchall()
    return {workspace_id: tidy(state) for workspace_id, state in rows}


def tidy(state: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {"accounts": {}, "lots": [], "holds": {}, "key_spent": {}}
    state = {name: empty.get(name) if value is None else value for name, value in state.items()}
    state["accounts"] = {k: tuple(v) for k, v in state["accounts"].items() if v != [0, 0]}
    return state


def plain_state(tenant: Tenant) -> dict[str, Any]:
    books = tenant.books
    lineage = {name: str(key.lineage) for name, key in tenant.keys.items()}
    accounts = {
        "wallet": (books.wallet, books.held),
        "sales": (books.sales, 0),
        "grants": (books.grants, 0),
        "expired": (books.expired, 0),
        "clawback": (-books.debt, 0),
    }
    return {
        "accounts": {kind: both for kind, both in accounts.items() if both != (0, 0)},
        "lots": [
            [
                lot.source,
                lot.amount,
                lot.remaining,
                lot.spent,
                lot.expired,
                lot.clawed_back,
                int(lot.expires_at.timestamp()) if lot.expires_at else None,
            ]
            for lot in books.lots
        ],
        "holds": {
            job: [hold.amount, hold.captured, hold.state, hold.key and lineage[hold.key]]
            for job, hold in books.holds.items()
        },
        "key_spent": {lineage[name]: spent for name, spent in books.key_spent.items() if spent},
        "n_facts": books.n_facts,
        "unbalanced": 0,
    }


def drive(*, examples: int, steps: int) -> None:
    LedgerMachine.steps = 0
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.django_db(transaction=True)
def test_the_ledger_equals_a_plain_model_after_each_of_ten_thousand_steps():
    drive(examples=101, steps=100)
    assert LedgerMachine.steps >= 10_000


def _draw_one_too_little(wallet: Account, amount_mcr: int, *, lots: list[Lot]) -> Any:
    return posting.lots_plan(wallet, max(1, amount_mcr - 1), lots=lots)


def _return_one_too_many(hold: Hold, *, spent_mcr: int) -> None:
    ledger_return_lots(hold, spent_mcr=max(0, spent_mcr - 1))


def _forget_to_expire(wallet: Account) -> list[Lot]:
    return list(posting.lots_open(wallet))


def _debt_but_one(*, workspace: Workspace) -> int:
    return max(0, debt_get(workspace=workspace) - 1)


def _take_back_one_too_many(fact: Any, wallet: Account, lot: Lot, amount_mcr: int) -> None:
    take_back(fact, wallet, lot, amount_mcr + 1)


ledger_return_lots, take_back = ledger._return_lots, clawbacks._take_back
MUTANTS = {
    "a hold draws one too little": ("billing.ledger.lots_plan", _draw_one_too_little),
    "a capture spends one too little": ("billing.ledger._return_lots", _return_one_too_many),
    "a hold spends what has expired": ("billing.ledger.lots_first", _forget_to_expire),
    "one of a debt is not repaid": ("billing.posting.debt_get", _debt_but_one),
    "a clawback takes one too many": ("billing.clawbacks._take_back", _take_back_one_too_many),
    "a cap allows one more": (
        "billing.key_spending._ADD",
        key_spending._ADD.replace("<= %(cap)s::bigint", "<= %(cap)s::bigint + 1"),
    ),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_off_by_one_is_caught(name: str, monkeypatch: pytest.MonkeyPatch):
    target, mutant = MUTANTS[name]
    monkeypatch.setattr(target, mutant)
    with pytest.raises((AssertionError, IntegrityError, RuntimeError)):
        drive(examples=10, steps=100)
    assert LedgerMachine.steps <= 1_000
