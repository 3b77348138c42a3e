"""Addresses of keys, webhooks, the team, the audit log and settings."""

from django.urls import path

from web.app import audit, keys, settings, team, webhook_messages, webhooks

urlpatterns = [
    path("keys", keys.keys, name="keys"),
    path("keys/new", keys.key_new, name="key-new"),
    path("keys/<uuid:key_uuid>", keys.key, name="key"),
    path("keys/<uuid:key_uuid>/edit", keys.key_edit, name="key-edit"),
    path("keys/<uuid:key_uuid>/roll", keys.key_roll, name="key-roll"),
    path("keys/<uuid:key_uuid>/revoke", keys.key_revoke, name="key-revoke"),
    path("webhooks", webhooks.webhooks, name="webhooks"),
    path("webhooks/new", webhooks.webhook_new, name="webhook-new"),
    path("webhooks/callback-secret", webhooks.callback_secret, name="webhook-callback-secret"),
    path("webhooks/callback-secret/roll", webhooks.callback_roll, name="webhook-callback-roll"),
    path("webhooks/messages", webhook_messages.webhook_messages, name="webhook-messages"),
    path(
        "webhooks/messages/<uuid:message_uuid>",
        webhook_messages.webhook_message,
        name="webhook-message",
    ),
    path(
        "webhooks/messages/<uuid:message_uuid>/resend",
        webhook_messages.webhook_message_resend,
        name="webhook-message-resend",
    ),
    path("webhooks/<uuid:webhook_uuid>", webhooks.webhook, name="webhook"),
    path("webhooks/<uuid:webhook_uuid>/edit", webhooks.webhook_edit, name="webhook-edit"),
    path("webhooks/<uuid:webhook_uuid>/roll", webhooks.webhook_roll, name="webhook-roll"),
    path("webhooks/<uuid:webhook_uuid>/enable", webhooks.webhook_enable, name="webhook-enable"),
    path("webhooks/<uuid:webhook_uuid>/disable", webhooks.webhook_disable, name="webhook-disable"),
    path("webhooks/<uuid:webhook_uuid>/delete", webhooks.webhook_delete, name="webhook-delete"),
    path("webhooks/<uuid:webhook_uuid>/test", webhook_messages.webhook_test, name="webhook-test"),
    path(
        "webhooks/<uuid:webhook_uuid>/resend",
        webhook_messages.webhook_resend,
        name="webhook-resend",
    ),
    path("team", team.team, name="team"),
    path("team/invite", team.team_invite, name="team-invite"),
    path(
        "team/invitations/<uuid:invitation_uuid>/resend",
        team.team_invitation_resend,
        name="team-invitation-resend",
    ),
    path(
        "team/invitations/<uuid:invitation_uuid>/revoke",
        team.team_invitation_revoke,
        name="team-invitation-revoke",
    ),
    path("team/members/<uuid:user_uuid>", team.team_member, name="team-member"),
    path("team/members/<uuid:user_uuid>/remove", team.team_remove, name="team-remove"),
    path("team/members/<uuid:user_uuid>/transfer", team.team_transfer, name="team-transfer"),
    path("team/leave", team.team_leave, name="team-leave"),
    path("audit", audit.audit, name="audit"),
    path("settings", settings.settings, name="settings"),
    path("settings/workspaces/new", settings.workspace_new, name="workspace-new"),
]
