"""Who is asking, for which workspace, and what they may do there."""

from dataclasses import dataclass

from accounts.audit import Actor
from accounts.models import ApiKey, Membership, Role, SignIn, User, Workspace
from accounts.scopes import ROLE_SCOPES, key_scopes, read_scopes


@dataclass(frozen=True)
class Principal:
    """A key, or a person who signed in; exactly one of `api_key` and `user` is set."""

    workspace: Workspace
    scopes: frozenset[str]
    api_key: ApiKey | None = None
    user: User | None = None
    role: Role | None = None
    sign_in: SignIn | None = None
    ip_address: str | None = None
    # Who looks on as `user`, and may change nothing (accounts/impersonation.py).
    operator: User | None = None
    # All of `user`'s, of those who are on the pages.
    memberships: tuple[Membership, ...] = ()

    @classmethod
    def of_key(cls, key: ApiKey, *, ip_address: str | None = None) -> "Principal":
        scopes = key_scopes(key.scopes)
        return cls(key.workspace, scopes, api_key=key, ip_address=ip_address)

    @classmethod
    def of_member(
        cls,
        user: User,
        *,
        workspace: Workspace,
        role: Role,
        sign_in: SignIn | None = None,
        ip_address: str | None = None,
    ) -> "Principal":
        scopes = ROLE_SCOPES[role]
        return cls(workspace, scopes, user=user, role=role, sign_in=sign_in, ip_address=ip_address)

    @classmethod
    def of_onlooker(
        cls,
        operator: User,
        *,
        user: User,
        workspace: Workspace,
        role: Role,
        ip_address: str | None = None,
    ) -> "Principal":
        scopes = read_scopes(ROLE_SCOPES[role])
        return cls(
            workspace, scopes, user=user, role=role, ip_address=ip_address, operator=operator
        )

    @property
    def actor(self) -> Actor:
        if self.api_key is not None:
            return Actor.of_key(self.api_key, ip_address=self.ip_address)
        if self.operator is not None:
            return Actor.of_onlooker(self.operator, ip_address=self.ip_address)
        assert self.user is not None  # noqa: S101 - see the class
        return Actor.of_user(self.user, ip_address=self.ip_address)
