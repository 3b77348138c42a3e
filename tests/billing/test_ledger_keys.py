"""The monthly cap of API keys, counted by lineage."""

from datetime import date
from uuid import UUID, uuid4

import pytest

from accounts.models import ApiKey, Workspace
from billing.key_spending import key_spent_get
from billing.ledger import credits_hold, hold_capture, hold_release
from billing.models import Hold, KeySpend
from billing.selectors import ledger_discrepancies
from config.errors import InsufficientCredits, KeyCapReached
from tests.billing.books import balances
from tests.makers import make_workspace

pytestmark = pytest.mark.django_db


def make_capped_key(workspace: Workspace, cap_mcr: int | None, **fields: object) -> ApiKey:
    return ApiKey.objects.create(
        workspace=workspace,
        name="capped",
        key_id=uuid4().hex[:16],
        secret_hash=b"",
        monthly_cap_mcr=cap_mcr,
        **{"lineage": uuid4(), **fields},
    )


def hold(key: ApiKey, amount_mcr: int) -> UUID:
    job = uuid4()
    credits_hold(workspace=key.workspace, job_uuid=job, amount_mcr=amount_mcr, api_key=key)
    return job


def test_a_key_spends_its_cap_exactly():
    key = make_capped_key(make_workspace(credits=1), 100)
    hold(key, 60)
    hold(key, 40)
    with pytest.raises(
        KeyCapReached, match=r"costs 0\.001 credits; of the 0\.1 .* 0 are"
    ) as caught:
        hold(key, 1)
    assert (caught.value.status, caught.value.code) == (402, "key_cap_reached")
    assert caught.value.data == {"cap_mcr": 100, "spent_mcr": 100, "required_mcr": 1}
    assert balances(key.workspace) == (1_000, 100)
    assert (Hold.objects.count(), key_spent_get(api_key=key)) == (2, 100)
    assert ledger_discrepancies() == []


@pytest.mark.parametrize("cap_mcr", [0, 99])
def test_a_first_order_beyond_the_cap_is_refused_too(cap_mcr: int):
    key = make_capped_key(make_workspace(credits=1), cap_mcr)
    with pytest.raises(KeyCapReached) as caught:
        hold(key, 100)
    assert caught.value.data == {"cap_mcr": cap_mcr, "spent_mcr": 0, "required_mcr": 100}
    assert balances(key.workspace) == (1_000, 0)
    assert KeySpend.objects.count() == 0


def test_too_few_credits_count_nothing():
    key = make_capped_key(make_workspace(credits=1), 5_000)
    with pytest.raises(InsufficientCredits):
        hold(key, 1_001)
    assert key_spent_get(api_key=key) == 0


def test_without_a_cap_it_is_counted_all_the_same():
    key = make_capped_key(make_workspace(credits=1), None)
    hold(key, 700)
    assert key_spent_get(api_key=key) == 700


def test_what_was_not_charged_may_be_spent_again():
    key = make_capped_key(make_workspace(credits=1), 100)
    released, captured = hold(key, 50), hold(key, 50)
    hold_release(job_uuid=released)
    hold_capture(job_uuid=captured, amount_mcr=20)
    hold_release(job_uuid=captured)
    assert key_spent_get(api_key=key) == 20
    hold(key, 80)
    assert ledger_discrepancies() == []


def test_what_comes_back_comes_back_to_the_month_of_the_order():
    key = make_capped_key(make_workspace(credits=1), 100)
    old = hold(key, 100)
    may = date(2026, 5, 1)
    KeySpend.objects.update(month=may)
    Hold.objects.update(key_month=may)
    hold(key, 100)
    hold_release(job_uuid=old)
    assert KeySpend.objects.get(month=may).spent_mcr == 0
    assert key_spent_get(api_key=key) == 100
    assert ledger_discrepancies() == []


def test_a_key_and_its_successor_share_one_cap():
    old = make_capped_key(make_workspace(credits=1), 100)
    new = make_capped_key(old.workspace, 100, lineage=old.lineage)
    hold(old, 70)
    with pytest.raises(KeyCapReached):
        hold(new, 31)
    hold(new, 30)


def test_a_key_of_another_workspace_is_a_bug_and_changes_nothing():
    alice, bob = make_workspace(credits=1), make_workspace("Bob's", credits=1)
    key = make_capped_key(bob, None)
    with pytest.raises(ValueError, match="its own workspace"):
        credits_hold(workspace=alice, job_uuid=uuid4(), amount_mcr=1, api_key=key)
    assert balances(alice) == balances(bob) == (1_000, 0)
    assert KeySpend.objects.count() == 0
