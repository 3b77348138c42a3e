"""Every page renders for everybody, accessible and fit for the content security policy."""

import re
from typing import Any
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.api.routes import routes
from tests.makers import PASSWORD
from tests.web.conftest import sign_in
from tests.web.html import Page

pytestmark = pytest.mark.django_db

POLICY = {
    "default-src 'self'",
    "base-uri 'none'",
    "form-action 'self' https://checkout.stripe.com https://billing.stripe.com",
    "img-src 'self' data:",
    "media-src 'self'",
    "connect-src 'self'",
    "frame-ancestors 'none'",
}
IDS: dict[str, dict[str, Any]] = {
    "job-timeline": {"job_uuid": uuid4(), "form": "rttm"},
    "account_confirm_email": {"key": "unknown"},
    "account_reset_password_from_key": {"uidb36": "1", "key": "unknown"},
    "mfa_edit_webauthn": {"pk": 1},
    "mfa_remove_webauthn": {"pk": 1},
    "invitation-accept": {"token": "unknown"},
    "outside-docs": {"name": "audiopod"},
    "docs-page": {"slug": "quickstart"},
}
# Answers to programs: the options of a passkey as JSON, the recovery codes as a file. A button.
NOT_PAGES = {
    "mfa_login_webauthn",
    "mfa_download_recovery_codes",
    "demo-player",
    "docs-source",
    "events",
    "favicon",
    "invitation-join",
    "jobs-zip",
    "llms",
    "manifest",
    "job-mix-file",
    "job-mix-status",
    "job-player",
    "job-stem-file",
    "job-player-file",
    "outside-openapi",
    "robots",
    "sitemap",
    "preferences",
    "workspace-enter",
    "share",
    "share-archive",
    "share-download",
    "share-player",
    "share-player-file",
    "usage-csv",
    "credits-alert",
    "credits-arrival",
    "credits-buy",
    "credits-card",
    "credits-portal",
    "credits-top-up",
}
FOR_ALL = {
    "docs",
    "docs-page",
    "docs-search",
    "pricing",
    "stems",
    "status",
    "home",
    "calculator",
    "native-docs",
    "outside-docs",
    "references",
    "account_login",
    "account_signup",
    "account_inactive",
    "account_email_verification_sent",
    "account_confirm_email",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
}
# Without what it is about (a login in progress, a key to edit), a page leads elsewhere or is not
# there. Signed in and reauthenticated:
ELSEWHERE = {
    "account-billing": 302,
    "account_login": 302,
    "account_signup": 302,
    "account_confirm_login_code": 302,
    "account_set_password": 302,
    "mfa_authenticate": 302,
    "mfa_reauthenticate": 302,
    "mfa_reauthenticate_webauthn": 302,
    "mfa_view_recovery_codes": 404,
    "mfa_deactivate_totp": 404,
    "mfa_edit_webauthn": 404,
    "mfa_remove_webauthn": 404,
    "invitation-accept": 404,
}
# The console has tests of its own for who comes in (tests/web/console/test_gate.py).
OF_PROGRAMS = re.compile("v1/(?!docs)|api/(?!docs)|livez|readyz|metrics|stripe|console/")
ROUTES = [
    route
    for route in routes()
    if route.name not in NOT_PAGES
    and not OF_PROGRAMS.match(route.pattern)
    # Else a button (web.views.app_page says what a page of the app takes).
    and "GET" in getattr(route.view, "methods", ("GET",))
]
PAGES = sorted(route.name for route in ROUTES)
# Of things that a uuid names, there is none here.
IDS |= {
    route.name: dict.fromkeys(route.ids, uuid4())
    for route in ROUTES
    if route.ids and route.name not in IDS
}
ELSEWHERE |= {route.name: 404 for route in ROUTES if route.ids and route.name not in ELSEWHERE}


def check(response: Any) -> None:
    policy = set(response["Content-Security-Policy"].split("; "))
    if getattr(response.resolver_match, "url_name", None) == "job-new":
        # The browser reads the length of a file from where it lies.
        policy.remove("media-src 'self' blob:")
        policy.add("media-src 'self'")
    assert policy == POLICY
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert Page(response.content.decode()).problems() == []


@pytest.fixture
def confirmed(signed_in: Client) -> Client:
    """Signed in, and has given the password again."""
    response = signed_in.post("/account/reauthenticate/", {"password": PASSWORD})
    assert response.status_code == 302
    return signed_in


@pytest.mark.parametrize("name", PAGES)
def test_for_somebody_who_is_not_signed_in(client: Client, name: str):
    response = client.get(reverse(name, kwargs=IDS.get(name)))
    assert response.status_code == (200 if name in FOR_ALL else 302)
    if response.status_code == 200:
        check(response)
    else:
        assert response["Location"].startswith(("/account/login/", "/"))


@pytest.mark.parametrize("name", PAGES)
def test_for_somebody_who_is_signed_in(confirmed: Client, name: str):
    response = confirmed.get(reverse(name, kwargs=IDS.get(name)))
    assert response.status_code == ELSEWHERE.get(name, 200)
    if response["Content-Type"].startswith("text/html") and response.content:
        check(response)


def test_pages_with_their_errors(client: Client):
    for name, body in {
        "account_login": {"login": "x@example.org", "password": "wrong"},
        "account_signup": {"email": "x", "password1": "a", "password2": "b"},
        "account_reset_password": {"email": "x"},
    }.items():
        response = client.post(reverse(name), body)
        assert response.status_code == 200
        check(response)
        assert 'class="errorlist' in response.content.decode()


def test_pages_of_somebody_with_a_second_factor(confirmed: Client, person: User, client: Client):
    TOTP.activate(person, generate_totp_secret())
    RecoveryCodes.activate(person)
    for path in ("", "totp/deactivate/", "recovery-codes/", "recovery-codes/generate/"):
        response = confirmed.get(f"/account/2fa/{path}")
        assert response.status_code == 200
        check(response)
    assert sign_in(client)["Location"] == "/account/2fa/authenticate/"
    response = client.get("/account/2fa/authenticate/")
    assert response.status_code == 200
    check(response)
    assert client.get("/account/").status_code == 302


def test_second_factors_can_be_added(confirmed: Client, person: User):
    page = confirmed.get("/account/2fa/totp/activate/")
    assert 'src="data:image/svg+xml' in page.content.decode()
    check(confirmed.get("/account/2fa/webauthn/add/"))
    assert not Authenticator.objects.exists()


def test_security_changes_ask_for_the_password_again(signed_in: Client):
    for path in ("2fa/totp/activate/", "2fa/webauthn/add/", "2fa/recovery-codes/generate/"):
        response = signed_in.get(f"/account/{path}")
        assert response.status_code == 302
        assert response["Location"].startswith("/account/reauthenticate/")
    response = signed_in.post("/account/email/", {"email": "b@example.org", "action_add": ""})
    assert response["Location"].startswith("/account/reauthenticate/")


def test_the_account_shows_workspaces(signed_in: Client):
    text = signed_in.get("/account/").content.decode()
    assert 'Studio</th><td data-label="Your role">Owner</td>' in text


def test_somebody_without_a_workspace_gets_one(signed_in: Client, person: User):
    person.memberships.all().delete()
    for _ in range(2):
        assert signed_in.get("/account/").status_code == 200
    assert person.memberships.get().workspace.name == "alice's workspace"


@pytest.mark.parametrize(("backend", "is_said"), [("console", True), ("smtp", False)])
def test_the_page_says_where_mail_goes(client: Client, settings: Any, backend: str, is_said: bool):
    settings.EMAIL_BACKEND = f"django.core.mail.backends.{backend}.EmailBackend"
    for path in ("confirm-email/", "password/reset/done/"):
        text = client.get(f"/account/{path}").content.decode()
        assert ("No mail server is set up here" in text) is is_said


def test_too_many_attempts(client: Client):
    body = {"email": "x@example.org"}
    statuses = [client.post("/account/password/reset/", body).status_code for _ in range(6)]
    assert statuses == [302] * 5 + [429]
    check(client.post("/account/password/reset/", body))


def test_a_form_without_its_token():
    response = Client(enforce_csrf_checks=True).post("/account/login/", {})
    assert response.status_code == 403
    check(response)


def test_signing_out_needs_a_post(signed_in: Client):
    signed_in.get("/account/logout/")
    assert signed_in.get("/account/").status_code == 200
    signed_in.post("/account/logout/")
    assert signed_in.get("/account/").status_code == 302
