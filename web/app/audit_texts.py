"""What the audit log says of each action, in words."""

from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

ACTIONS: Final[dict[str, str | Promise]] = {
    "key.created": _("Made an API key"),
    "key.updated": _("Changed an API key"),
    "key.rolled": _("Rolled an API key"),
    "key.revoked": _("Revoked an API key"),
    "webhook.created": _("Made a webhook"),
    "webhook.updated": _("Changed a webhook"),
    "webhook.rolled": _("Rolled a webhook's secret"),
    "webhook.deleted": _("Deleted a webhook"),
    "webhook.disabled": _("Disabled a webhook that did not answer"),
    "callback_secret.rolled": _("Rolled the secret of callback addresses"),
    "share.created": _("Made a link to a job"),
    "share.revoked": _("Withdrew a link to a job"),
    "invitation.created": _("Invited somebody"),
    "invitation.revoked": _("Withdrew an invitation"),
    "invitation.accepted": _("Accepted an invitation"),
    "member.role_changed": _("Changed a member's role"),
    "member.removed": _("Removed a member"),
    "member.left": _("Left the workspace"),
    "ownership.transferred": _("Handed the workspace over"),
    "workspace.created": _("Made the workspace"),
    "workspace.renamed": _("Renamed the workspace"),
    "sign_in.created": _("Signed in through the API"),
    "sign_in.revoked": _("Ended a sign-in of the API"),
    "sign_in.workspace_changed": _("Changed to this workspace in the API"),
    "token.reuse_detected": _("A stolen refresh token was refused"),
    "credits.granted": _("Granted credits"),
    "credits.refunded": _("Gave credits back"),
    "credits.taken": _("Took credits"),
    "credits.clawed_back": _("Took credits back after a refund"),
    "payment.paid": _("Paid"),
    "payment.refunded": _("Paid back"),
    "subscription.changed": _("Changed the subscription"),
    "auto_top_up.changed": _("Changed the auto top-up"),
    "auto_top_up.disabled": _("Switched the auto top-up off"),
    "credit_alert.changed": _("Changed the mail about low credits"),
}
KINDS: Final[dict[str, str | Promise]] = {
    "user": _("person"),
    "key": _("API key"),
    "operator": _("operator"),
    "onlooker": _("operator"),
    "system": _("the service"),
    "anonymous": _("somebody"),
    "webhook": _("webhook"),
    "workspace": _("workspace"),
    "member": _("member"),
    "invitation": _("invitation"),
    "payment": _("payment"),
    "job": _("job"),
    "share": _("link to a job"),
}


def action_text(action: str) -> str | Promise:
    """One that has no words yet is told by its name."""
    return ACTIONS.get(action, action)


def data_lines(data: dict[str, Any]) -> list[tuple[str, str]]:
    """What was noted with it, one value a line: `before.name`, `after.name`."""
    lines = []
    for name, value in data.items():
        if isinstance(value, dict):
            lines += [(f"{name}.{inner}", text) for inner, text in data_lines(value)]
        elif isinstance(value, list):
            lines.append((name, ", ".join(map(str, value)) or "—"))
        elif value is not None and value != "":
            lines.append((name, str(value)))
    return lines
