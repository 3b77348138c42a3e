from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.audit import OPERATOR, Actor
from accounts.models import AuditEvent, Membership, Role, SignIn, User, Workspace
from accounts.principal import Principal
from accounts.tokens import access_token_authenticate
from accounts.workspaces import (
    OWNED_WORKSPACES_MAX,
    member_change_role,
    member_remove,
    ownership_transfer,
    workspace_create,
    workspace_default_for,
    workspace_leave,
    workspace_rename,
)
from config.errors import (
    AppError,
    LimitReached,
    NotAllowed,
    NotFound,
    NotMember,
    OwnerStays,
    TokenRevoked,
    WrongState,
)
from tests.makers import make_key, make_member, make_token, make_user, make_workspace
from tests.races import together

pytestmark = pytest.mark.django_db

MANAGERS = [Role.OWNER, Role.ADMIN]
OTHERS = [Role.DEVELOPER, Role.BILLING, Role.VIEWER]


@pytest.fixture
def team() -> dict[Role, User]:
    """One person of each role, in one workspace."""
    workspace = make_workspace(credits=0)
    return {role: make_member(workspace, role) for role in Role}


def workspace_of(team: dict[Role, User]) -> Workspace:
    return team[Role.OWNER].memberships.get().workspace


def by(user: User) -> Actor:
    return Actor.of_user(user, ip_address="192.0.2.1")


def roles(workspace: Workspace) -> dict[str, str]:
    return dict(Membership.objects.filter(workspace=workspace).values_list("user__email", "role"))


def events(*actions: str) -> list[tuple[str, Any, dict[str, Any]]]:
    rows = AuditEvent.objects.filter(action__in=actions).order_by("pk")
    return [(row.action, row.target_uuid, row.data) for row in rows]


def refused(call: Callable[[], Any], error: type[AppError], workspace: Workspace) -> None:
    """It is refused, and nothing changed."""
    before, n_events = roles(workspace), AuditEvent.objects.count()
    with pytest.raises(error) as caught, transaction.atomic():
        call()
    assert type(caught.value) is error
    assert (roles(workspace), AuditEvent.objects.count()) == (before, n_events)


def test_a_workspace_is_made_with_its_owner_and_recorded():
    user = make_user("alice@example.org")
    workspace = workspace_create(name="Studio", owner=user, actor=by(user))
    assert roles(workspace) == {"alice@example.org": "owner"}
    event = AuditEvent.objects.get(workspace_uuid=workspace.uuid)
    assert (event.action, event.actor_uuid, event.ip_address) == (
        "workspace.created",
        user.uuid,
        "192.0.2.1",
    )
    assert event.data == {"name": "Studio", "owner": str(user.uuid)}


def test_nobody_owns_more_than_so_many():
    user = make_user()
    for _ in range(OWNED_WORKSPACES_MAX):
        workspace_create(name="w", owner=user, actor=by(user))
    with pytest.raises(LimitReached), transaction.atomic():
        workspace_create(name="w", owner=user, actor=by(user))
    other = make_workspace(credits=0)
    owner = make_member(other, Role.OWNER)
    Membership.objects.create(workspace=other, user=user, role=Role.ADMIN)
    refused(
        lambda: ownership_transfer(workspace=other, user_uuid=user.uuid, actor=by(owner)),
        LimitReached,
        other,
    )
    assert user.memberships.filter(role=Role.OWNER).count() == OWNED_WORKSPACES_MAX


def test_a_default_workspace_is_the_own_else_the_oldest_else_a_new_one():
    user = make_user("bob@example.org")
    first = workspace_default_for(user=user, actor=by(user))
    assert (first.name, roles(first)) == ("bob's workspace", {"bob@example.org": "owner"})
    assert workspace_default_for(user=user, actor=by(user)) == first
    Membership.objects.filter(user=user).delete()
    joined = [make_workspace(credits=0), make_workspace(credits=0)]
    for workspace in joined:
        Membership.objects.create(workspace=workspace, user=user, role=Role.VIEWER)
    assert workspace_default_for(user=user, actor=by(user)) == joined[0]
    own = workspace_create(name="own", owner=user, actor=by(user))
    assert workspace_default_for(user=user, actor=by(user)) == own


def test_two_owners_are_refused_by_the_database(team: dict[Role, User]):
    with pytest.raises(IntegrityError, match="membership_one_owner"), transaction.atomic():
        Membership.objects.filter(user=team[Role.ADMIN]).update(role=Role.OWNER)


@pytest.mark.parametrize("role", MANAGERS)
def test_a_manager_renames(team: dict[Role, User], role: Role):
    workspace = workspace_of(team)
    assert workspace_rename(workspace=workspace, name="New", actor=by(team[role])).name == "New"
    workspace_rename(workspace=workspace, name="New", actor=by(team[role]))
    workspace.refresh_from_db()
    assert workspace.name == "New"
    assert events("workspace.renamed") == [
        ("workspace.renamed", workspace.uuid, {"before": "Alice's", "after": "New"})
    ]


@pytest.mark.parametrize("role", OTHERS)
def test_nobody_else_manages(team: dict[Role, User], role: Role):
    workspace, actor = workspace_of(team), by(team[role])
    target = make_member(workspace, Role.VIEWER).uuid
    calls: list[Callable[[], Any]] = [
        lambda: workspace_rename(workspace=workspace, name="New", actor=actor),
        lambda: member_change_role(
            workspace=workspace, user_uuid=target, role=Role.VIEWER, actor=actor
        ),
        lambda: member_remove(workspace=workspace, user_uuid=target, actor=actor),
        lambda: ownership_transfer(workspace=workspace, user_uuid=target, actor=actor),
    ]
    for call in calls:
        refused(call, NotAllowed, workspace)


def test_an_admin_cannot_transfer(team: dict[Role, User]):
    workspace, admin = workspace_of(team), team[Role.ADMIN]
    refused(
        lambda: ownership_transfer(workspace=workspace, user_uuid=admin.uuid, actor=by(admin)),
        NotAllowed,
        workspace,
    )


def test_a_stranger_and_a_key_manage_nothing(team: dict[Role, User]):
    workspace = workspace_of(team)
    make_key(workspace)
    target = team[Role.VIEWER].uuid
    stranger = make_member(make_workspace("Other", credits=0), Role.OWNER)
    for actor in (by(stranger), Actor.of_key(workspace.api_keys.get())):
        refused(
            lambda actor=actor: member_remove(  # type: ignore[misc]
                workspace=workspace, user_uuid=target, actor=actor
            ),
            NotMember,
            workspace,
        )


def test_somebody_who_is_no_member_is_not_found(team: dict[Role, User]):
    workspace, actor = workspace_of(team), by(team[Role.OWNER])
    stranger = make_user().uuid
    calls: list[Callable[[], Any]] = [
        lambda: member_change_role(
            workspace=workspace, user_uuid=stranger, role=Role.ADMIN, actor=actor
        ),
        lambda: member_remove(workspace=workspace, user_uuid=stranger, actor=actor),
        lambda: ownership_transfer(workspace=workspace, user_uuid=stranger, actor=actor),
    ]
    for call in calls:
        refused(call, NotFound, workspace)


@pytest.mark.parametrize("manager", MANAGERS)
@pytest.mark.parametrize("role", [Role.ADMIN, *OTHERS])
def test_a_manager_changes_a_role(team: dict[Role, User], manager: Role, role: Role):
    workspace, actor = workspace_of(team), by(team[manager])
    user = make_member(workspace, Role.VIEWER if role != Role.VIEWER else Role.ADMIN)
    before = user.memberships.get().role
    for _ in range(2):
        member_change_role(workspace=workspace, user_uuid=user.uuid, role=role, actor=actor)
    assert user.memberships.get().role == role
    assert events("member.role_changed") == [
        (
            "member.role_changed",
            user.uuid,
            {"email": user.email, "before": before, "after": role.value},
        )
    ]


@pytest.mark.parametrize("manager", MANAGERS)
def test_the_owner_stays(team: dict[Role, User], manager: Role):
    workspace, owner, actor = workspace_of(team), team[Role.OWNER], by(team[manager])
    admin = team[Role.ADMIN].uuid
    calls: list[Callable[[], Any]] = [
        lambda: member_change_role(
            workspace=workspace, user_uuid=owner.uuid, role=Role.ADMIN, actor=actor
        ),
        lambda: member_change_role(
            workspace=workspace, user_uuid=admin, role=Role.OWNER, actor=actor
        ),
        lambda: member_remove(workspace=workspace, user_uuid=owner.uuid, actor=actor),
        lambda: workspace_leave(workspace=workspace, user=owner, actor=by(owner)),
    ]
    for call in calls:
        refused(call, OwnerStays, workspace)


def test_nobody_gives_rights_that_they_lack(team: dict[Role, User], monkeypatch: Any):
    """Today whoever manages members has all that can be given; a future role may not."""
    from accounts import scopes

    narrow = scopes.ROLE_SCOPES[Role.VIEWER] | {scopes.MEMBERS_WRITE}
    monkeypatch.setitem(scopes.ROLE_SCOPES, Role.BILLING, narrow)
    workspace, actor = workspace_of(team), by(team[Role.BILLING])
    viewer = team[Role.VIEWER].uuid
    for role in (Role.ADMIN, Role.DEVELOPER):
        refused(
            lambda role=role: member_change_role(  # type: ignore[misc]
                workspace=workspace, user_uuid=viewer, role=role, actor=actor
            ),
            NotAllowed,
            workspace,
        )
    developer = team[Role.DEVELOPER]
    member_change_role(workspace=workspace, user_uuid=developer.uuid, role=Role.VIEWER, actor=actor)
    assert developer.memberships.get().role == Role.VIEWER


@pytest.mark.parametrize("manager", MANAGERS)
@pytest.mark.parametrize("role", [Role.ADMIN, *OTHERS])
def test_a_removed_members_sign_ins_end_here_and_only_here(
    team: dict[Role, User], manager: Role, role: Role
):
    workspace = workspace_of(team)
    user, other = make_member(workspace, role), make_workspace("Other", credits=0)
    Membership.objects.create(workspace=other, user=user, role=Role.VIEWER)
    here, there = make_token(user, workspace), make_token(user, other)
    bystander = make_token(team[Role.VIEWER], workspace)
    member_remove(workspace=workspace, user_uuid=user.uuid, actor=by(team[manager]))
    assert user.email not in roles(workspace)
    with pytest.raises(TokenRevoked):
        access_token_authenticate(here)
    assert access_token_authenticate(there).workspace == other
    assert access_token_authenticate(bystander).user == team[Role.VIEWER]
    assert events("member.removed") == [
        ("member.removed", user.uuid, {"email": user.email, "before": role.value, "after": None})
    ]


@pytest.mark.parametrize("role", [Role.ADMIN, *OTHERS])
def test_anybody_but_the_owner_leaves(team: dict[Role, User], role: Role):
    workspace, user = workspace_of(team), team[role]
    token = make_token(user, workspace)
    workspace_leave(workspace=workspace, user=user, actor=by(user))
    assert user.email not in roles(workspace)
    with pytest.raises(TokenRevoked):
        access_token_authenticate(token)
    refused(
        lambda: workspace_leave(workspace=workspace, user=user, actor=by(user)),
        NotFound,
        workspace,
    )
    assert events("member.left") == [
        ("member.left", user.uuid, {"email": user.email, "before": role.value, "after": None})
    ]
    # It was the last; a new one is made on demand.
    assert workspace_default_for(user=user, actor=by(user)) != workspace


def test_a_changed_role_counts_for_tokens_at_once(team: dict[Role, User]):
    workspace, user = workspace_of(team), team[Role.ADMIN]
    token = make_token(user, workspace)
    member_change_role(
        workspace=workspace, user_uuid=user.uuid, role=Role.VIEWER, actor=by(team[Role.OWNER])
    )
    assert access_token_authenticate(token).role == Role.VIEWER


@pytest.mark.parametrize("role", [Role.ADMIN, *OTHERS])
def test_ownership_goes_to_a_member(team: dict[Role, User], role: Role):
    workspace, owner, heir = workspace_of(team), team[Role.OWNER], team[role]
    ownership_transfer(workspace=workspace, user_uuid=heir.uuid, actor=by(owner))
    now = roles(workspace)
    assert (now[heir.email], now[owner.email]) == ("owner", "admin")
    assert list(now.values()).count("owner") == 1
    assert events("ownership.transferred") == [
        (
            "ownership.transferred",
            heir.uuid,
            {"email": heir.email, "before": role.value, "former_owner": str(owner.uuid)},
        )
    ]
    refused(
        lambda: ownership_transfer(workspace=workspace, user_uuid=heir.uuid, actor=by(owner)),
        NotAllowed,
        workspace,
    )
    refused(
        lambda: ownership_transfer(workspace=workspace, user_uuid=heir.uuid, actor=by(heir)),
        WrongState,
        workspace,
    )


def test_an_operator_gives_an_owner_to_a_workspace_without_one():
    workspace = make_workspace(credits=0)
    user = make_member(workspace, Role.ADMIN)
    ownership_transfer(workspace=workspace, user_uuid=user.uuid, actor=OPERATOR)
    assert roles(workspace) == {user.email: "owner"}


def race(*calls: Callable[[], Any]) -> list[type[AppError] | None]:
    """What each raised."""
    outcomes = together(len(calls), *calls)
    return [type(outcome) if isinstance(outcome, AppError) else None for outcome in outcomes]


@pytest.mark.django_db(transaction=True)
def test_of_transfers_at_once_one_wins(team: dict[Role, User]):
    workspace, owner = workspace_of(team), team[Role.OWNER]
    heirs = [team[role] for role in (Role.ADMIN, *OTHERS)]
    outcomes = race(
        *(
            lambda heir=heir: ownership_transfer(
                workspace=workspace, user_uuid=heir.uuid, actor=by(owner)
            )
            for heir in heirs
        )
    )
    assert sorted(map(str, outcomes)) == sorted(map(str, [None, *[NotAllowed] * 3]))
    winner = heirs[outcomes.index(None)]
    now = roles(workspace)
    assert [email for email, role in now.items() if role == "owner"] == [winner.email]
    assert now[owner.email] == "admin"
    assert len(events("ownership.transferred")) == 1


@pytest.mark.django_db(transaction=True)
def test_a_transfer_beside_leaving(team: dict[Role, User]):
    workspace, owner, heir = workspace_of(team), team[Role.OWNER], team[Role.ADMIN]
    transferred, left = race(
        lambda: ownership_transfer(workspace=workspace, user_uuid=heir.uuid, actor=by(owner)),
        lambda: workspace_leave(workspace=workspace, user=heir, actor=by(heir)),
    )
    now = roles(workspace)
    if transferred is None:
        assert (left, now[heir.email], now[owner.email]) == (OwnerStays, "owner", "admin")
    else:
        assert (transferred, left, now[owner.email]) == (NotFound, None, "owner")
        assert heir.email not in now
    assert len(events("ownership.transferred", "member.left")) == 1


@pytest.mark.django_db(transaction=True)
def test_a_removal_beside_a_change_of_role(team: dict[Role, User]):
    workspace, owner, user = workspace_of(team), team[Role.OWNER], team[Role.DEVELOPER]
    removed, changed = race(
        lambda: member_remove(workspace=workspace, user_uuid=user.uuid, actor=by(owner)),
        lambda: member_change_role(
            workspace=workspace,
            user_uuid=user.uuid,
            role=Role.BILLING,
            actor=by(team[Role.ADMIN]),
        ),
    )
    assert (removed, changed) in [(None, None), (None, NotFound)]
    assert user.email not in roles(workspace)


@pytest.mark.django_db(transaction=True)
def test_of_two_admins_who_remove_each_other_one_stays(team: dict[Role, User]):
    workspace, first = workspace_of(team), team[Role.ADMIN]
    second = make_member(workspace, Role.ADMIN)
    outcomes = race(
        lambda: member_remove(workspace=workspace, user_uuid=first.uuid, actor=by(second)),
        lambda: member_remove(workspace=workspace, user_uuid=second.uuid, actor=by(first)),
    )
    assert sorted(map(str, outcomes)) == sorted(map(str, [None, NotMember]))
    assert len({first.email, second.email} & set(roles(workspace))) == 1


@pytest.mark.django_db(transaction=True)
def test_a_default_workspace_is_made_once():
    user = make_user()
    race(*[lambda: workspace_default_for(user=user, actor=by(user))] * 6)
    assert (Workspace.objects.count(), Membership.objects.count()) == (1, 1)
    assert SignIn.objects.count() == 0


def test_who_looks_on_changes_nothing_where_no_page_stops_them(team: dict[Role, User]):
    workspace = workspace_of(team)
    onlooker = Principal.of_onlooker(
        make_user("operator@example.org"),
        user=team[Role.OWNER],
        workspace=workspace,
        role=Role.OWNER,
    )
    with pytest.raises(NotMember):
        workspace_rename(workspace=workspace, name="Taken", actor=onlooker.actor)
    with pytest.raises(NotMember):
        member_remove(workspace=workspace, user_uuid=team[Role.VIEWER].uuid, actor=onlooker.actor)
    workspace.refresh_from_db()
    assert workspace.name == "Alice's"
    assert len(roles(workspace)) == len(Role)
