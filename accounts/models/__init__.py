from accounts.models.access import ApiKey, RateWindow, RefreshToken, Registration, SignIn
from accounts.models.audit import AuditEvent
from accounts.models.operating import Flag, WorkspaceNote
from accounts.models.people import Invitation, Membership, Role, User, UserManager, Workspace

__all__ = [
    "ApiKey",
    "AuditEvent",
    "Flag",
    "Invitation",
    "Membership",
    "RateWindow",
    "RefreshToken",
    "Registration",
    "Role",
    "SignIn",
    "User",
    "UserManager",
    "Workspace",
    "WorkspaceNote",
]
