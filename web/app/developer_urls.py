"""Addresses of keys, webhooks, the team, the audit log and settings."""

from django.urls import path

from web.app import keys

urlpatterns = [
    path("keys", keys.keys, name="keys"),
    path("keys/new", keys.key_new, name="key-new"),
    path("keys/<uuid:key_uuid>", keys.key, name="key"),
    path("keys/<uuid:key_uuid>/edit", keys.key_edit, name="key-edit"),
    path("keys/<uuid:key_uuid>/roll", keys.key_roll, name="key-roll"),
    path("keys/<uuid:key_uuid>/revoke", keys.key_revoke, name="key-revoke"),
]
