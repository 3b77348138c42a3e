from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from accounts.api_keys import (
    api_key_authenticate,
    api_key_create,
    api_key_get_for_workspace,
    api_key_list,
    api_key_revoke,
    api_key_roll,
    api_key_update,
)
from accounts.audit import OPERATOR, Actor
from accounts.models import ApiKey, AuditEvent, Membership, User
from accounts.workspaces import member_remove
from config.errors import (
    AppError,
    InvalidKey,
    KeyExpired,
    KeyRevoked,
    NotAllowed,
    NotFound,
    NotMember,
    ValidationFailed,
    WrongState,
)
from tests.makers import make_key, make_member, make_workspace
from tests.races import together

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def made(alice: Any) -> tuple[ApiKey, str]:
    return api_key_create(workspace=alice, name="k", actor=OPERATOR)


def expire(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=Now() - timedelta(seconds=1))


def test_a_key_leads_to_its_workspace():
    workspace = make_workspace()
    make_workspace("Bob's")
    assert api_key_authenticate(make_key(workspace)).workspace == workspace


def test_it_keeps_no_secret(made: tuple[ApiKey, str]):
    row, text = made
    row.refresh_from_db()
    assert text[11:43] not in str(vars(row))
    assert bytes(row.secret_hash) != text[11:43].encode()
    assert text[11:43] not in str(list(AuditEvent.objects.values()))


def test_it_refuses_a_key_that_was_never_made():
    stranger = make_key(make_workspace())
    ApiKey.objects.all().delete()
    with pytest.raises(InvalidKey):
        api_key_authenticate(stranger)


@pytest.mark.parametrize("end", [None, "revoked", "expired"])
def test_who_has_not_the_secret_learns_nothing_of_the_key(alice: Any, end: str | None):
    first, second = make_key(alice), make_key(alice)
    ApiKey.objects.filter(key_id=first[3:11]).delete()
    other = ApiKey.objects.get(key_id=second[3:11])
    ApiKey.objects.filter(pk=other.pk).update(key_id=first[3:11])
    if end == "revoked":
        api_key_revoke(workspace=alice, key_uuid=other.uuid, actor=OPERATOR)
    elif end == "expired":
        expire(other)
    # The right id with another secret.
    with pytest.raises(InvalidKey):
        api_key_authenticate(first)


def test_a_revoked_key_is_refused_at_once(alice: Any, made: tuple[ApiKey, str]):
    row, text = made
    for _ in range(2):
        api_key_revoke(workspace=alice, key_uuid=row.uuid, actor=OPERATOR)
        with pytest.raises(KeyRevoked):
            api_key_authenticate(text)
    assert AuditEvent.objects.filter(action="key.revoked", target_uuid=row.uuid).count() == 1


def test_an_expired_key_is_refused(alice: Any, made: tuple[ApiKey, str]):
    row, text = made
    soon = datetime.now(UTC) + timedelta(hours=1)
    _, fresh = api_key_create(workspace=alice, name="k", expires_at=soon, actor=OPERATOR)
    assert api_key_authenticate(fresh).workspace == alice
    expire(row)
    with pytest.raises(KeyExpired):
        api_key_authenticate(text)


def test_a_key_of_another_workspace_cannot_be_touched(made: tuple[ApiKey, str], charlie: Any):
    row, text = made
    his: dict[str, Any] = {"workspace": charlie, "key_uuid": row.uuid}
    for call in (
        lambda: api_key_revoke(**his, actor=OPERATOR),
        lambda: api_key_roll(**his, grace=DAY, actor=OPERATOR),
        lambda: api_key_update(**his, name="mine", actor=OPERATOR),
        lambda: api_key_get_for_workspace(**his),
    ):
        with pytest.raises(NotFound):
            call()
    assert list(api_key_list(workspace=charlie)) == []
    assert (api_key_authenticate(text), ApiKey.objects.get().name) == (row, "k")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["jobs:read", "keys:write"]},
        {"scopes": ["jobs:*"]},
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
def test_it_refuses_a_key_that_makes_no_sense(alice: Any, wrong: dict[str, Any]):
    with pytest.raises(ValidationFailed) as caught:
        api_key_create(workspace=alice, name="k", actor=OPERATOR, **wrong)
    assert list(caught.value.fields) == list(wrong)
    assert not ApiKey.objects.exists()
    assert not AuditEvent.objects.filter(target_kind="key").exists()


@pytest.mark.parametrize("role", ["viewer", "billing", None])
def test_nobody_gives_what_they_lack(alice: Any, charlie: Any, role: str | None):
    person = make_member(alice if role else charlie, role or "owner")
    with pytest.raises(NotAllowed) as caught:
        api_key_create(
            workspace=alice, name="k", scopes=["jobs:write"], actor=OPERATOR, created_by=person
        )
    assert "keys:write" in caught.value.data["scopes"]
    assert not ApiKey.objects.exists()


def test_who_was_demoted_this_moment_makes_no_key(alice: Any):
    person = make_member(alice, "admin")
    api_key_create(workspace=alice, name="k", actor=OPERATOR, created_by=person)
    Membership.objects.filter(user=person).update(role="viewer")
    with pytest.raises(NotAllowed):
        api_key_create(workspace=alice, name="k", actor=OPERATOR, created_by=person)
    assert ApiKey.objects.get().created_by == person


def test_a_key_can_be_changed_but_not_widened(alice: Any, made: tuple[ApiKey, str]):
    row = made[0]
    changed = api_key_update(
        workspace=alice,
        key_uuid=row.uuid,
        actor=OPERATOR,
        scopes=["jobs:read", "credits:read"],
        monthly_cap_mcr=5,
    )
    assert (changed.scopes, changed.monthly_cap_mcr) == (["credits:read", "jobs:read"], 5)
    for wider in (["*"], ["jobs:write"]):
        with pytest.raises(ValidationFailed):
            api_key_update(
                workspace=alice, key_uuid=row.uuid, actor=OPERATOR, scopes=wider, name="new"
            )
    row.refresh_from_db()
    assert (row.scopes, row.name) == (["credits:read", "jobs:read"], "k")
    # What was said before is no change.
    api_key_update(workspace=alice, key_uuid=row.uuid, actor=OPERATOR, monthly_cap_mcr=5)
    assert AuditEvent.objects.get(action="key.updated").data == {
        "before": {"monthly_cap_mcr": None, "scopes": ["*"]},
        "after": {"monthly_cap_mcr": 5, "scopes": ["credits:read", "jobs:read"]},
    }


def changes_by(actor: Actor, key: ApiKey) -> list[Any]:
    his: dict[str, Any] = {"workspace": key.workspace, "key_uuid": key.uuid, "actor": actor}
    return [
        lambda: api_key_update(**his, monthly_cap_mcr=None),
        lambda: api_key_roll(**his, grace=DAY),
        lambda: api_key_revoke(**his),
    ]


@pytest.mark.parametrize(("role", "error"), [("viewer", NotAllowed), (None, NotMember)])
def test_who_lost_the_right_this_moment_changes_no_key(
    alice: Any, role: str | None, error: type[AppError]
):
    person = make_member(alice, "admin")
    row, _ = api_key_create(workspace=alice, name="k", actor=OPERATOR, monthly_cap_mcr=0)
    memberships = Membership.objects.filter(user=person)
    memberships.update(role=role) if role else memberships.delete()
    before = list(ApiKey.objects.values())
    for call in changes_by(Actor.of_user(person), row):
        with pytest.raises(error):
            call()
    assert list(ApiKey.objects.values()) == before
    assert not AuditEvent.objects.filter(actor_uuid=person.uuid).exists()


@pytest.mark.django_db(transaction=True)
def test_nobody_changes_a_key_after_their_removal():
    for _ in range(5):
        workspace = make_workspace(credits=0)
        person = make_member(workspace, "admin")
        row, _ = api_key_create(workspace=workspace, name="k", actor=OPERATOR, monthly_cap_mcr=0)
        together(
            4,
            *changes_by(Actor.of_user(person), row),
            partial(member_remove, workspace=workspace, user_uuid=person.uuid, actor=OPERATOR),
        )
        recorded = AuditEvent.objects.filter(workspace_uuid=workspace.uuid).order_by("pk")
        assert recorded.last().action == "member.removed"  # type: ignore[union-attr]


def test_a_change_binds_all_keys_of_a_lineage_that_work(alice: Any):
    row, _ = api_key_create(workspace=alice, name="k", actor=OPERATOR, monthly_cap_mcr=100)
    his: dict[str, Any] = {"workspace": alice, "actor": OPERATOR}
    ended, _ = api_key_roll(**his, key_uuid=row.uuid, grace=DAY)
    api_key_revoke(**his, key_uuid=ended.uuid)
    new, _ = api_key_roll(**his, key_uuid=row.uuid, grace=DAY)
    other, _ = api_key_create(**his, name="k", monthly_cap_mcr=100)
    narrow: dict[str, Any] = {
        "scopes": ["jobs:read"],
        "monthly_cap_mcr": 0,
        "rate_limit_per_minute": 1,
    }
    # From either end.
    api_key_update(**his, key_uuid=new.uuid, name="new", **narrow)
    found = {key.pk: key for key in ApiKey.objects.all()}
    for pk in (row.pk, new.pk):
        assert {name: getattr(found[pk], name) for name in narrow} == narrow
    for pk in (ended.pk, other.pk):
        assert (found[pk].monthly_cap_mcr, found[pk].scopes) == (100, ["*"])
    # A name is each key's own.
    assert (found[row.pk].name, found[new.pk].name) == ("k", "new")
    recorded = AuditEvent.objects.filter(action="key.updated")
    assert {event.target_uuid for event in recorded} == {row.uuid, new.uuid}
    api_key_update(**his, key_uuid=row.uuid, monthly_cap_mcr=5)
    new.refresh_from_db()
    assert new.monthly_cap_mcr == 5


def test_a_rolled_key_lives_on_for_the_grace_only(alice: Any):
    row, text = api_key_create(
        workspace=alice,
        name="k",
        scopes=["jobs:read"],
        monthly_cap_mcr=7,
        rate_limit_per_minute=9,
        expires_at=datetime.now(UTC) + 30 * DAY,
        actor=OPERATOR,
    )
    new, new_text = api_key_roll(workspace=alice, key_uuid=row.uuid, grace=DAY, actor=OPERATOR)
    same = ("name", "scopes", "monthly_cap_mcr", "rate_limit_per_minute", "lineage", "expires_at")
    new.refresh_from_db()
    assert all(getattr(new, name) == getattr(row, name) for name in same)
    assert api_key_authenticate(text) == row
    assert api_key_authenticate(new_text) == new
    old = ApiKey.objects.annotate(left=Now()).get(pk=row.pk)
    assert old.grace_until is not None
    assert timedelta(hours=23) < old.grace_until - old.left <= DAY
    assert (old.expires_at, new.grace_until) == (row.expires_at, None)
    event = AuditEvent.objects.get(action="key.rolled")
    assert event.data == {"successor": str(new.uuid), "grace_s": 86_400}


def test_the_grace_never_lengthens_a_life(alice: Any):
    ends_at = datetime.now(UTC) + timedelta(hours=1)
    row, text = api_key_create(workspace=alice, name="k", expires_at=ends_at, actor=OPERATOR)
    api_key_roll(workspace=alice, key_uuid=row.uuid, grace=7 * DAY, actor=OPERATOR)
    expire(row)
    with pytest.raises(KeyExpired):
        api_key_authenticate(text)


def test_rolled_again_the_grace_stays_and_is_not_inherited(alice: Any, made: tuple[ApiKey, str]):
    row = made[0]
    his: dict[str, Any] = {"workspace": alice, "actor": OPERATOR}
    leaked, _ = api_key_roll(**his, key_uuid=row.uuid, grace=timedelta(hours=1))
    first = ApiKey.objects.get(pk=row.pk).grace_until
    api_key_revoke(**his, key_uuid=leaked.uuid)
    new, text = api_key_roll(**his, key_uuid=row.uuid, grace=7 * DAY)
    row.refresh_from_db()
    new.refresh_from_db()
    assert first is not None
    assert row.grace_until == first
    assert (new.expires_at, new.grace_until) == (None, None)
    assert api_key_authenticate(text) == new


def test_without_grace_the_old_key_ends_at_once(alice: Any, made: tuple[ApiKey, str]):
    row, text = made
    _, new_text = api_key_roll(
        workspace=alice, key_uuid=row.uuid, grace=timedelta(0), actor=OPERATOR
    )
    with pytest.raises(KeyExpired):
        api_key_authenticate(text)
    assert api_key_authenticate(new_text).lineage == row.lineage


@pytest.mark.parametrize("grace", [timedelta(seconds=-1), 7 * DAY + timedelta(seconds=1)])
def test_it_refuses_a_grace_out_of_bounds(alice: Any, made: tuple[ApiKey, str], grace: timedelta):
    with pytest.raises(ValidationFailed):
        api_key_roll(workspace=alice, key_uuid=made[0].uuid, grace=grace, actor=OPERATOR)
    assert ApiKey.objects.get().expires_at is None


@pytest.mark.parametrize("end", ["revoked", "expired", "rolled"])
def test_a_key_that_has_ended_stays_so(alice: Any, made: tuple[ApiKey, str], end: str):
    row = made[0]
    match end:
        case "revoked":
            api_key_revoke(workspace=alice, key_uuid=row.uuid, actor=OPERATOR)
        case "expired":
            expire(row)
        case "rolled":
            ApiKey.objects.update(grace_until=Now() - timedelta(seconds=1))
    with pytest.raises(WrongState):
        api_key_roll(workspace=alice, key_uuid=row.uuid, grace=DAY, actor=OPERATOR)
    with pytest.raises(WrongState):
        api_key_update(workspace=alice, key_uuid=row.uuid, actor=OPERATOR, name="new")
    assert ApiKey.objects.get().name == "k"


def test_a_key_is_rolled_again_only_if_its_successor_is_gone(alice: Any, made: tuple[ApiKey, str]):
    row = made[0]
    new, _ = api_key_roll(workspace=alice, key_uuid=row.uuid, grace=DAY, actor=OPERATOR)
    with pytest.raises(WrongState):
        api_key_roll(workspace=alice, key_uuid=row.uuid, grace=DAY, actor=OPERATOR)
    assert ApiKey.objects.count() == 2
    api_key_revoke(workspace=alice, key_uuid=new.uuid, actor=OPERATOR)
    api_key_roll(workspace=alice, key_uuid=row.uuid, grace=DAY, actor=OPERATOR)
    assert ApiKey.objects.filter(revoked_at=None).count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_rolls_at_once_give_one_successor():
    workspace = make_workspace(credits=0)
    row, _ = api_key_create(workspace=workspace, name="k", actor=OPERATOR)
    answers = together(
        8,
        lambda: api_key_roll(workspace=workspace, key_uuid=row.uuid, grace=DAY, actor=OPERATOR),
    )
    assert [isinstance(answer, WrongState) for answer in answers].count(True) == 7
    assert ApiKey.objects.filter(lineage=row.lineage).count() == 2
    assert AuditEvent.objects.filter(action="key.rolled").count() == 1


@pytest.mark.django_db(transaction=True)
def test_roll_and_revoke_at_once_leave_the_old_key_closed():
    workspace = make_workspace(credits=0)
    row, text = api_key_create(workspace=workspace, name="k", actor=OPERATOR)

    def both() -> None:
        api_key_revoke(workspace=workspace, key_uuid=row.uuid, actor=OPERATOR)
        api_key_roll(workspace=workspace, key_uuid=row.uuid, grace=DAY, actor=OPERATOR)

    assert all(isinstance(answer, WrongState) for answer in together(4, both))
    with pytest.raises(KeyRevoked):
        api_key_authenticate(text)
    assert ApiKey.objects.count() == 1


def test_it_notes_the_use_but_not_every_time():
    text = make_key(make_workspace())
    api_key_authenticate(text, ip_address="192.0.2.1")
    first = ApiKey.objects.get()
    api_key_authenticate(text, ip_address="192.0.2.2")
    assert first.last_used_at is not None
    assert ApiKey.objects.get().last_used_at == first.last_used_at
    assert ApiKey.objects.get().last_used_ip == "192.0.2.1"
    ApiKey.objects.update(last_used_at=Now() - timedelta(seconds=61))
    api_key_authenticate(text, ip_address="192.0.2.2")
    noted = ApiKey.objects.get()
    assert noted.last_used_at is not None
    assert noted.last_used_at > first.last_used_at
    assert noted.last_used_ip == "192.0.2.2"


def test_one_address_is_one_user_in_any_case():
    User.objects.create_user("alice@example.org", "correct horse")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("Alice@example.org", "correct horse")
    assert User.objects.get().check_password("correct horse")
