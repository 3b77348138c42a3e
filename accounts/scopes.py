"""What may be done, and who may do it."""

from typing import Final

from accounts.models import Role

ASSETS_READ: Final = "assets:read"
ASSETS_WRITE: Final = "assets:write"
JOBS_READ: Final = "jobs:read"
# Orders are paid: this is the right to spend.
JOBS_WRITE: Final = "jobs:write"
WEBHOOKS_READ: Final = "webhooks:read"
WEBHOOKS_WRITE: Final = "webhooks:write"
CREDITS_READ: Final = "credits:read"
BILLING_READ: Final = "billing:read"
BILLING_WRITE: Final = "billing:write"
KEYS_READ: Final = "keys:read"
KEYS_WRITE: Final = "keys:write"
MEMBERS_READ: Final = "members:read"
MEMBERS_WRITE: Final = "members:write"
WORKSPACE_READ: Final = "workspace:read"
WORKSPACE_WRITE: Final = "workspace:write"
WORKSPACE_OWN: Final = "workspace:own"
AUDIT_READ: Final = "audit:read"

# What a key may be given, and what "*" stands for in one. Managing people, keys and money needs a
# person: a key that leaks must not be able to make others or to invite.
KEY_SCOPES: Final = frozenset(
    {ASSETS_READ, ASSETS_WRITE, JOBS_READ, JOBS_WRITE, CREDITS_READ, WORKSPACE_READ}
    | {WEBHOOKS_READ, WEBHOOKS_WRITE}
)

_VIEWER = frozenset(
    {ASSETS_READ, JOBS_READ, WEBHOOKS_READ, CREDITS_READ, WORKSPACE_READ, MEMBERS_READ}
)
_ADMIN = (
    _VIEWER
    | {ASSETS_WRITE, JOBS_WRITE, KEYS_READ, KEYS_WRITE, BILLING_READ, BILLING_WRITE}
    | {WEBHOOKS_WRITE, MEMBERS_WRITE, WORKSPACE_WRITE, AUDIT_READ}
)

ROLE_SCOPES: Final = {
    Role.VIEWER: _VIEWER,
    Role.DEVELOPER: _VIEWER | {ASSETS_WRITE, JOBS_WRITE, WEBHOOKS_WRITE, KEYS_READ, KEYS_WRITE},
    # Sees what was spent and buys; the recordings are not its business.
    Role.BILLING: frozenset(
        {CREDITS_READ, WORKSPACE_READ, MEMBERS_READ, BILLING_READ, BILLING_WRITE}
    ),
    Role.ADMIN: _ADMIN,
    Role.OWNER: _ADMIN | {WORKSPACE_OWN},
}


def key_scopes(granted: list[str]) -> frozenset[str]:
    """What a key with these scopes may do."""
    return KEY_SCOPES if "*" in granted else KEY_SCOPES & set(granted)


def read_scopes(scopes: frozenset[str]) -> frozenset[str]:
    """What of these changes nothing."""
    return frozenset(scope for scope in scopes if scope.endswith(":read"))
