"""Keys and webhooks, the team, the audit log, settings and the account, as a person uses them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.models import ApiKey, Role, User, Workspace
from jobs.delivering import messages_deliver
from jobs.models import WebhookMessage
from tests.fakes.receiver import DOWN, OK, receiver
from tests.makers import make_member

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]


@pytest.fixture(autouse=True)
def _no_limits_left() -> None:
    cache.clear()


def works(key: str) -> int:
    return Client().get("/v1/workspace", headers={"X-API-Key": key}).status_code


def secret_on(page: Page) -> str:
    return page.locator("#secret").inner_text()


def test_a_key_lives(signed_in: Page, check_page: Check):
    page = signed_in
    page.goto("/app/keys")
    page.get_by_role("link", name="Make the first key").click()
    page.get_by_label("Name", exact=True).fill("CI")
    expect(page.get_by_label("See jobs and their results")).to_be_hidden()
    page.get_by_label("Only what I choose").check()
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text("Choose at least one.")).to_be_visible()
    check_page(page)
    page.get_by_label("See jobs and their results").check()
    page.get_by_label("See the workspace's name and id").check()
    page.get_by_label("Credits a month at most").fill("20")
    page.get_by_role("button", name="Make the key").click()

    first = secret_on(page)
    check_page(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_text("The key is in the clipboard.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == first
    assert first in page.locator("#curl").inner_text()
    assert works(first) == 200

    # Neither a reload nor the way back shows it again, and no second key is made.
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("CI")
    assert first not in page.content()
    page.get_by_role("link", name="API keys").first.click()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_contain_text("CI")
    assert first not in page.content()
    assert ApiKey.objects.count() == 1

    page.get_by_role("link", name="Roll").click()
    page.get_by_label("The old key works on for").select_option(label="an hour")
    page.get_by_role("button", name="Roll the key").click()
    second = secret_on(page)
    assert (works(first), works(second)) == (200, 200)
    page.get_by_role("link", name="I have stored it").click()

    # By keyboard alone.
    page.get_by_role("link", name="Revoke").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("to confirm")).to_be_focused()
    check_page(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.type("CI")
    page.keyboard.press("Enter")
    expect(page.get_by_text("“CI” was revoked.")).to_be_visible()
    assert (works(first), works(second)) == (200, 401)


def test_a_webhook_is_told_and_told_again(signed_in: Page, check_page: Check, settings: Any):
    page = signed_in
    with receiver(settings, DOWN) as server:
        page.goto("/app/webhooks")
        page.get_by_role("link", name="Add the first webhook").click()
        page.get_by_role("textbox", name="Address").fill(f"{server.url}/in")
        page.get_by_role("button", name="Make the webhook").click()
        secret = secret_on(page)
        check_page(page)
        page.get_by_role("link", name="I have stored it").click()

        page.get_by_role("button", name="Send a test event").click()
        expect(page.get_by_text("Waiting")).to_be_visible()
        messages_deliver()
        # Without a reload.
        expect(page.get_by_text("It answered with an error.")).to_be_visible()
        server.answer = OK
        page.get_by_role("button", name="Send again").click()
        messages_deliver()
        expect(page.get_by_text("Delivered", exact=True)).to_be_visible()
        assert [one.verify(secret)["type"] for one in server.received] == ["webhook.test"] * 2

        page.get_by_role("button", name="Send again").click()
        messages_deliver()
        expect(page.get_by_text("Try 3")).to_be_visible()
        assert len({one.id for one in server.received}) == 1

        page.goto("/app/webhooks/messages")
        page.get_by_role("link", name="webhook.test").click()
        page.get_by_role("link", name="127.0.0.1").click()
        page.get_by_role("button", name="More").click()
        page.get_by_role("link", name="Disable").click()
        page.get_by_role("dialog").get_by_role("button", name="Disable").click()
        expect(page.get_by_text("by a member")).to_be_visible()
        check_page(page)
        page.get_by_role("button", name="Enable it again").click()
        WebhookMessage.objects.update(state="failed")
        page.get_by_role("button", name="More").click()
        page.get_by_role("link", name="Send failed ones again").click()
        page.get_by_role("dialog").get_by_role("button", name="Send again").click()
        expect(page.get_by_text("1 delivery is sent again.")).to_be_visible()


def test_a_team_forms_and_its_log_tells(signed_in: Page, person: User, check_page: Check):
    page = signed_in
    bob = make_member(Workspace.objects.get(), Role.VIEWER, email="bob@example.org")
    page.goto("/app/team")
    page.get_by_role("link", name="Invite").click()
    page.get_by_label("E-mail address").fill("carol@example.org")
    page.get_by_role("radio", name=re.compile("Viewer")).check()
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_role("rowheader", name="carol@example.org")).to_be_visible()
    page.get_by_text("Point by point").click()

    page.get_by_role("link", name=f"Manage {bob.email}").click()
    page.get_by_role("link", name="Make them the owner").click()
    check_page(page)
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("to confirm").fill("Studio")
    dialog.get_by_role("button", name="Hand it over").click()
    expect(page.get_by_text("bob@example.org owns it now.")).to_be_visible()

    page.goto("/app/audit")
    page.get_by_label("Action").select_option(label="Handed the workspace over")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile("action=ownership.transferred"))
    page.get_by_role("row").last.get_by_text("Handed the workspace over").click()
    expect(page.get_by_text("ownership.transferred")).to_be_visible()
    page.get_by_role("link", name=person.email).click()
    expect(page.get_by_text("Invited somebody")).to_be_hidden()

    page.goto("/app/settings")
    page.get_by_role("link", name="New workspace").click()
    page.get_by_label("Name").fill("Band")
    page.get_by_role("button", name="Make the workspace").click()
    expect(page.get_by_text("“Band” is yours.")).to_be_visible()
