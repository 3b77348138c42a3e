"""What threads do at the same moment to one wallet."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from accounts.audit import OPERATOR
from billing.clawbacks import capture_refund, credits_take, grant_clawback_sync
from billing.key_spending import key_spent_get
from billing.ledger import credits_grant, credits_hold, hold_capture, hold_release, lots_expire
from billing.models import Account, Hold, HoldState, Transaction
from billing.selectors import ledger_discrepancies
from config.errors import AppError
from tests.billing.books import available_and_debt, balances
from tests.billing.test_ledger_keys import make_capped_key
from tests.makers import make_grant, make_workspace

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(works: Iterable[Callable[[], object]]) -> Counter[str]:
    """Run each in a thread of its own, all from the same moment; count how they end."""
    works = list(works)
    barrier = Barrier(len(works))

    def run(work: Callable[[], object]) -> str:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            done = work()
            return "Fact" if isinstance(done, Transaction) else str(done)
        except AppError as error:
            return type(error).__name__
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return Counter(pool.map(run, works))


def test_of_64_holds_at_once_those_are_granted_for_which_there_are_credits():
    workspace, other = make_workspace(credits=0), make_workspace("Bob's", credits=3)
    make_grant(workspace, 100)

    def hold() -> None:
        credits_hold(workspace=workspace, job_uuid=uuid4(), amount_mcr=10)

    assert at_once([hold] * 64) == {"None": 10, "InsufficientCredits": 54}
    assert balances(workspace) == (100, 100)
    assert Hold.objects.filter(state=HoldState.PENDING).count() == 10
    assert balances(other) == (3_000, 0)
    assert ledger_discrepancies() == []


def test_of_64_holds_at_once_a_key_is_granted_what_its_cap_allows():
    workspace = make_workspace(credits=100)
    key = make_capped_key(workspace, 109)

    def hold() -> None:
        credits_hold(workspace=workspace, job_uuid=uuid4(), amount_mcr=10, api_key=key)

    assert at_once([hold] * 64) == {"None": 10, "KeyCapReached": 54}
    assert balances(workspace) == (100_000, 100)
    assert key_spent_get(api_key=key) == 100
    assert ledger_discrepancies() == []


def test_two_orders_for_the_last_credit():
    workspace = make_workspace(credits=1)

    def hold() -> None:
        credits_hold(workspace=workspace, job_uuid=uuid4(), amount_mcr=1_000)

    assert at_once([hold] * 2) == {"None": 1, "InsufficientCredits": 1}
    assert balances(workspace) == (1_000, 1_000)
    assert Hold.objects.count() == 1


def test_the_first_grants_of_a_workspace_at_once():
    """Its accounts do not exist yet."""
    workspace = make_workspace(credits=0)

    def grant() -> None:
        credits_grant(workspace=workspace, amount_mcr=5, source="x", idempotency_key=str(uuid4()))

    def repeat() -> None:
        credits_grant(workspace=workspace, amount_mcr=100, source="x", idempotency_key="same")

    assert at_once([grant, repeat] * 16) == {"None": 32}
    assert balances(workspace) == (16 * 5 + 100, 0)
    assert Account.objects.filter(workspace=workspace).count() == 2
    assert ledger_discrepancies() == []


def test_a_job_is_settled_once():
    workspace = make_workspace(credits=1)
    jobs = [uuid4() for _ in range(8)]
    for job in jobs:
        credits_hold(workspace=workspace, job_uuid=job, amount_mcr=100)
    works: list[Callable[[], object]] = []
    for job in jobs:
        works += [partial(hold_capture, job_uuid=job, amount_mcr=100)] * 3
        works += [partial(hold_release, job_uuid=job)] * 3
    assert at_once(works) == {"True": 8, "False": 40}
    captured = Hold.objects.filter(state=HoldState.CAPTURED).count()
    assert balances(workspace) == (1_000 - 100 * captured, 0)
    assert ledger_discrepancies() == []


def test_everything_at_once_leaves_the_books_in_order():
    """Holds, captures, releases, refunds, clawbacks both ways, takes, expiries, repeated grants."""
    workspace = make_workspace(credits=0)
    key = make_capped_key(workspace, 900)
    bought = credits_grant(
        workspace=workspace, amount_mcr=1_000, source="pack", idempotency_key="bought"
    )
    jobs = [uuid4() for _ in range(24)]
    for job in jobs:
        credits_hold(workspace=workspace, job_uuid=job, amount_mcr=30, api_key=key)
    past = datetime(2026, 1, 1, tzinfo=UTC)
    named: dict[str, Any] = {"reason": "x", "actor": OPERATOR}
    works: list[Callable[[], object]] = [lots_expire] * 3
    for job in jobs:
        works += [
            partial(hold_capture, job_uuid=job, amount_mcr=20),
            partial(hold_release, job_uuid=job),
        ]
    for number, job in enumerate(jobs[::4]):
        works += [
            partial(
                credits_hold, workspace=workspace, job_uuid=uuid4(), amount_mcr=40, api_key=key
            ),
            partial(grant_clawback_sync, grant=bought, total_mcr=160 * number, reason="x"),
            partial(capture_refund, job_uuid=job, amount_mcr=7, idempotency_key="x", **named),
            partial(
                credits_grant,
                workspace=workspace,
                amount_mcr=number + 1,
                source="x",
                idempotency_key=str(number % 2),
                expires_at=past,
            ),
            partial(
                credits_take,
                workspace=workspace,
                amount_mcr=5,
                idempotency_key=str(uuid4()),
                **named,
            ),
        ]
    random.Random(7).shuffle(works)
    ends = at_once(works)
    refusals = {"InsufficientCredits", "KeyCapReached", "WrongState", "IdempotencyConflict"}
    assert {end for end in ends if end[0].isupper()} <= refusals | {"None", "True", "False", "Fact"}
    assert not Hold.objects.filter(job_uuid__in=jobs, state=HoldState.PENDING).exists()
    available, debt = available_and_debt(workspace)
    assert not (available and debt)
    assert ledger_discrepancies() == []
    grant_clawback_sync(grant=bought, total_mcr=0, reason="Won")
    assert available_and_debt(workspace)[1] == 0
    clawed = Transaction.objects.filter(kind="clawback", entries__account__kind="grants")
    assert sum(clawed.values_list("entries__amount_mcr", flat=True)) == 0
    assert ledger_discrepancies() == []
