"""Unfold's admin: to be read, by operators, without secrets."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, User, Workspace
from tests.makers import make_key
from tests.web.console.conftest import enter
from web.console.database import site

pytestmark = pytest.mark.django_db

MODELS = sorted(model._meta.label_lower.replace(".", "_") for model in site._registry)


def test_it_has_the_same_door(alice: User, operator: User):
    half = Client()
    half.force_login(operator)
    for path in ("/console/db/", "/console/db/billing/entry/", "/console/db/search/?s=job"):
        assert enter(alice).get(path).status_code == 404
        assert Client().get(path)["Location"].startswith("/account/login/")
        assert half.get(path)["Location"].startswith("/account/2fa/reauthenticate/")


def test_it_signs_nobody_in_or_out(console: Client):
    for path in ("login", "logout", "password_change"):
        for method in (console.get, console.post):
            assert method(f"/console/db/{path}/")["Location"].startswith("/account/")


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_read_and_not_changed(console: Client, studio: Workspace, name: str):
    page = console.get(reverse(f"admin:{name}_changelist"))
    assert page.status_code == 200
    assert console.get(reverse(f"admin:{name}_add")).status_code == 403
    assert console.post(reverse(f"admin:{name}_add")).status_code == 403
    model = next(m for m in site._registry if m._meta.label_lower.replace(".", "_") == name)
    row: Any = model._default_manager.first()
    if row is not None:
        path = reverse(f"admin:{name}_change", args=[row.pk])
        assert console.get(path).status_code == 200
        assert console.post(path, {"name": "x"}).status_code == 403
        delete = reverse(f"admin:{name}_delete", args=[row.pk])
        assert console.post(delete, {"post": "yes"}).status_code == 403


def test_no_secret_is_shown(console: Client, studio: Workspace, operator: User):
    make_key(studio)
    for path in (
        reverse("admin:accounts_user_change", args=[operator.pk]),
        reverse("admin:accounts_apikey_change", args=[studio.api_keys.get().pk]),
    ):
        text = console.get(path).content.decode().lower()
        assert "md5$" not in text
        assert "secret" not in text
        assert "hash" not in text


def test_its_policy_lets_no_foreign_script_in(console: Client):
    policy = console.get("/console/db/")["Content-Security-Policy"].split("; ")
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "default-src 'self'" in policy
    # Nowhere else.
    assert "unsafe" not in console.get("/console/")["Content-Security-Policy"]


def test_looking_at_rows_changes_none(console: Client, studio: Workspace):
    before = AuditEvent.objects.count()
    console.get("/console/db/search/", {"s": "job", "extended": "1"})
    assert AuditEvent.objects.count() == before
