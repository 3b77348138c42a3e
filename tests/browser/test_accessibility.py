"""Everybody can use every page: axe finds nothing, light and dark, wide and narrow; nothing is cut
or sticks out when it is large and in German; each has a title of its own."""

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.cache import cache
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, Page

from accounts.models import Role, User
from tests.api.routes import Route, routes
from tests.browser.axe import colour_problems_of
from tests.browser.tour import Tour, sign_in_as, tour_of
from tests.browser.world import (
    INVITATION,
    World,
    make_operator,
    make_operators_work,
    make_payments,
    make_world,
)
from tests.fakes.stripe import FakeStripe, Sender
from tests.makers import PASSWORD, make_member, make_user
from tests.web.conftest import sign_in
from tests.web.console.conftest import enter
from tests.web.test_pages import PAGES, ROUTES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("fake_separation"),
]

# Of the routes of tests/web/test_pages.py: what comes as a file, and what only leads elsewhere.
NOT_SEEN = {"job-file", "job-timeline", "job-zip", "account-billing", "account_confirm_login_code"}
FOR_ALL = (
    *("home", "pricing", "calculator", "stems", "status", "docs", "docs-search"),
    "references",
)
REFERENCES = ("native-docs", "outside-docs")
# Before one is in.
AT_THE_DOOR = (
    "account_login",
    "account_signup",
    "account_inactive",
    "account_email_verification_sent",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key_done",
)
OF_THE_ACCOUNT = (
    "account-home",
    "account_email",
    "account_change_password",
    "account_logout",
    "account_reauthenticate",
    "usersessions_list",
    "mfa_index",
    "mfa_list_webauthn",
    "mfa_add_webauthn",
    "mfa_activate_totp",
    "mfa_generate_recovery_codes",
)
# In a state of their own: see the tests.
STAGED = {
    "docs-page",
    "invitation-accept",
    "account_confirm_email",
    "account_reset_password_from_key",
    "account_set_password",
    "mfa_authenticate",
    "mfa_deactivate_totp",
    "mfa_view_recovery_codes",
    "mfa_reauthenticate",
    "mfa_reauthenticate_webauthn",
    "mfa_edit_webauthn",
    "mfa_remove_webauthn",
}


def _is_of(route: Route, package: str) -> bool:
    return bool(route.view.__module__.startswith(package))


OF_THE_APP = [r for r in ROUTES if _is_of(r, "web.app") and r.name not in NOT_SEEN]
OF_THE_CONSOLE = [
    r for r in routes() if "GET" in getattr(r.view, "methods", ()) and _is_of(r, "web.console")
]


@pytest.fixture(autouse=True)
def _no_limits_left() -> None:
    cache.clear()


@pytest.fixture
def world(person: User, tmp_path: Path, settings: Any) -> World:
    return make_world(person, tmp_path, settings)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_no_page_is_forgotten():
    seen = {*FOR_ALL, *REFERENCES, *AT_THE_DOOR, *OF_THE_ACCOUNT, *STAGED}
    assert set(PAGES) == seen | NOT_SEEN | {route.name for route in OF_THE_APP}


def test_pages_for_all(chromium: Browser, live_server: Any, world: World, client: Client):
    with tour_of(chromium, live_server.url) as tour:
        for name in FOR_ALL:
            tour.visit(reverse(name))
        tour.visit("/docs/search?q=webhook")
        for slug in ("quickstart", "errors"):
            tour.visit(f"/docs/{slug}")
        tour.visit(f"/s/{world.shares['open']}")
        tour.visit(f"/s/{world.shares['locked']}")
        tour.visit("/s/nothing", status=404)


def test_what_went_wrong(chromium: Browser, live_server: Any, world: World):
    with tour_of(chromium, live_server.url) as tour:
        tour.visit("/nothing", status=404)
        for error, status in (
            (BadRequest, 400),
            (PermissionDenied, 403),
            (RequestDataTooBig, 413),
            (ZeroDivisionError, 500),
        ):
            with mock.patch("web.public.status.render", side_effect=error):
                tour.visit(f"/status?{status}", status=status)
    viewer = make_member(world.workspace, Role.VIEWER, email="eve@example.org")
    with tour_of(chromium, live_server.url, client_of(viewer)) as tour:
        tour.visit("/app/keys", status=403)
        tour.visit(f"/app/jobs/{world.workspace.uuid}", status=404)


def test_the_way_in(chromium: Browser, live_server: Any, world: World):
    user = make_user("carol@example.org", verified=False)
    confirmation = EmailConfirmationHMAC(EmailAddress.objects.get(user=user))
    reset = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    with tour_of(chromium, live_server.url) as tour:
        for name in AT_THE_DOOR:
            tour.visit(reverse(name))
        for key in (confirmation.key, "unknown"):
            tour.visit(reverse("account_confirm_email", kwargs={"key": key}))
        for values in (reset, {"uidb36": "1", "key": "unknown"}):
            tour.visit(reverse("account_reset_password_from_key", kwargs=values))
    EmailAddress.objects.update(verified=True)
    with tour_of(chromium, live_server.url, client_of(user)) as tour:
        tour.visit(f"/invitations/{INVITATION}/")
        tour.visit("/invitations/unknown/", status=404)


def test_the_account(chromium: Browser, live_server: Any, person: User):
    def inside() -> Client:
        client = client_of(person)
        client.post("/account/reauthenticate/", {"password": PASSWORD})
        return client

    with tour_of(chromium, live_server.url, inside()) as tour:
        for name in OF_THE_ACCOUNT:
            tour.visit(reverse(name))
        _add_passkey(tour.plain)
        passkey = Authenticator.objects.get(type=Authenticator.Type.WEBAUTHN)
        TOTP.activate(person, generate_totp_secret())
        for context in (tour.plain.context, tour.large.context):
            sign_in_as(context, enter(person), live_server.url)
        for name in ("mfa_index", "mfa_list_webauthn", "mfa_view_recovery_codes"):
            tour.visit(reverse(name))
        for name in ("mfa_generate_recovery_codes", "mfa_deactivate_totp"):
            tour.visit(reverse(name))
        for name in ("mfa_edit_webauthn", "mfa_remove_webauthn"):
            tour.visit(reverse(name, kwargs={"pk": passkey.pk}))
    stale = enter(person, age_s=3600)
    with tour_of(chromium, live_server.url, stale) as tour:
        for name in ("mfa_reauthenticate", "mfa_reauthenticate_webauthn"):
            tour.visit(reverse(name))
    half = Client()
    sign_in(half)
    with tour_of(chromium, live_server.url, half) as tour:
        tour.visit(reverse("mfa_authenticate"))
    person.set_unusable_password()
    person.save()
    with tour_of(chromium, live_server.url, enter(person)) as tour:
        tour.visit(reverse("account_set_password"))


def _add_passkey(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto(reverse("mfa_add_webauthn"))
    page.locator("main input[name=name]").fill("Laptop")
    with page.expect_navigation():
        page.locator("main form button").first.click()


def test_the_app(
    chromium: Browser,
    live_server: Any,
    world: World,
    person: User,
    fake_stripe: FakeStripe,
    stripe_sender: Sender,
):
    make_payments(world, fake_stripe, stripe_sender)
    with tour_of(chromium, live_server.url, client_of(person)) as tour:
        for route in OF_THE_APP:
            tour.visit(route.path(world.ids))
        for name in ("spoken", "failed", "running", "queued", "cancelled"):
            tour.visit(f"/app/jobs/{world.jobs[name].uuid}")
        tour.visit("/app/jobs?state=failed&q=nothing")
        tour.visit(f"/app/new?from={world.jobs['done'].uuid}")


def test_an_empty_app(chromium: Browser, live_server: Any, person: User):
    with tour_of(chromium, live_server.url, client_of(person)) as tour:
        for route in OF_THE_APP:
            if not route.parameters:
                tour.visit(route.path({}))


def test_the_console(chromium: Browser, live_server: Any, world: World, settings: Any):
    operator = make_operator()
    make_operators_work(world, operator, settings)
    with tour_of(chromium, live_server.url, enter(operator)) as tour:
        for route in OF_THE_CONSOLE:
            query = "?service=separation" if route.name == "console-price-new" else ""
            code = {"code": "hobby" if route.name == "console-plan" else "starter"}
            tour.visit(route.path({**world.ids, **code}) + query)
        tour.visit("/console/?q=alice")
        tour.visit("/console/?q=nobody")
        tour.visit(f"/console/workspaces/{world.jobs['done'].uuid}", status=404)


def test_the_database(chromium: Browser, live_server: Any, world: World, settings: Any):
    operator = make_operator()
    make_operators_work(world, operator, settings)
    job = world.jobs["done"]
    with tour_of(chromium, live_server.url, enter(operator)) as tour:
        for path in ("", "jobs/", "jobs/job/", f"jobs/job/{job.pk}/change/"):
            tour.visit(f"/console/db/{path}")


def test_the_references(chromium: Browser, live_server: Any, db: Any):
    with tour_of(chromium, live_server.url) as tour:
        _see_reference(tour, reverse("native-docs"))
        for name in ("audiopod", "musicapi"):
            _see_reference(tour, reverse("outside-docs", kwargs={"name": name}))


def _see_reference(tour: Tour, path: str) -> None:
    for page in (tour.plain, tour.large):
        tour.open(path, page=page)
        page.locator(".opblock").first.wait_for()
    tour.look_at()
    tour.look_large()


# Of those among which one is chosen: how many looks there are, and how many there should be.
_LOOKS_OF_CHOICES = """() => [...document.querySelectorAll(
    ".side ul, .segmented, .chips, .tabs, .sp-both")].map((set) => {
  const all = [...set.querySelectorAll("a, button")].filter((one) => one.checkVisibility());
  const chosen = (one) => one.matches("[aria-current], [aria-selected=true], [aria-pressed=true]");
  const looks = (some) => some.map((one) => getComputedStyle(one).backgroundColor);
  const others = new Set(looks(all.filter((one) => !chosen(one))));
  return [set.className, looks(all.filter(chosen)).every((one) => !others.has(one))];
})"""


def test_with_colours_of_the_readers_own(
    chromium: Browser, live_server: Any, world: World, person: User
):
    with tour_of(chromium, live_server.url, client_of(person)) as tour:
        page, seen = tour.plain, set[str]()
        page.emulate_media(forced_colors="active", reduced_motion="reduce")
        for path in ("jobs", f"jobs/{world.jobs['done'].uuid}", "usage", "webhooks/messages"):
            tour.open(f"/app/{path}")
            for name, is_told_apart in page.evaluate(_LOOKS_OF_CHOICES):
                assert is_told_apart, (path, name)
                seen.add(name)
            tour.found += colour_problems_of(page)
            page.keyboard.press("Tab")
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.evaluate(outline) == "solid", path
        assert {"segmented", "chips", "tabs"} <= {word for name in seen for word in name.split()}
