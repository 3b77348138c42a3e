"""Rights and roles in words."""

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts import scopes
from accounts.models import Role

# In the order in which they are shown.
SCOPE_TEXTS: Final[dict[str, str | Promise]] = {
    scopes.ASSETS_READ: _("See and download recordings"),
    scopes.ASSETS_WRITE: _("Upload and delete recordings"),
    scopes.JOBS_READ: _("See jobs and their results"),
    scopes.JOBS_WRITE: _("Order jobs, which spends credits"),
    scopes.WEBHOOKS_READ: _("See webhooks and deliveries"),
    scopes.WEBHOOKS_WRITE: _("Change webhooks and send deliveries again"),
    scopes.CREDITS_READ: _("See credits and usage"),
    scopes.WORKSPACE_READ: _("See the workspace's name and id"),
}
# What each role is for, in a sentence; and then what it may do, point by point.
ROLE_NAMES: Final[dict[Role, str | Promise]] = {
    Role.OWNER: _("Owner"),
    Role.ADMIN: _("Admin"),
    Role.DEVELOPER: _("Developer"),
    Role.BILLING: _("Billing"),
    Role.VIEWER: _("Viewer"),
}
ROLE_TEXTS: Final[dict[Role, str | Promise]] = {
    Role.OWNER: _("Does everything, and alone hands the workspace over. There is one."),
    Role.ADMIN: _("Runs the workspace: people, keys, webhooks, payments and jobs."),
    Role.DEVELOPER: _("Orders jobs, makes API keys and webhooks. No people, no payments."),
    Role.BILLING: _("Buys credits and reads invoices. Sees no recordings and no jobs."),
    Role.VIEWER: _("Listens and looks, changes nothing and spends nothing."),
}
# Rows of the table of roles: what, and the right that it takes.
ABILITIES: Final[tuple[tuple[str | Promise, str], ...]] = (
    (_("See jobs and results"), scopes.JOBS_READ),
    (_("Order jobs and spend credits"), scopes.JOBS_WRITE),
    (_("API keys"), scopes.KEYS_WRITE),
    (_("Change webhooks"), scopes.WEBHOOKS_WRITE),
    (_("See credits and usage"), scopes.CREDITS_READ),
    (_("Buy credits, see invoices"), scopes.BILLING_WRITE),
    (_("Invite and remove people"), scopes.MEMBERS_WRITE),
    (_("Rename the workspace"), scopes.WORKSPACE_WRITE),
    (_("Read the audit log"), scopes.AUDIT_READ),
    (_("Hand the workspace over"), scopes.WORKSPACE_OWN),
)


def role_name(role: str | Role | None) -> str | Promise:
    return ROLE_NAMES[Role(role)] if role else ""
