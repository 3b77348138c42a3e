"""Without a connection nothing that was typed or sent is lost, and the pages say so."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from accounts.models import ApiKey

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]


def test_what_was_typed_stays_until_the_connection_is_back(signed_in: Page, check_page: Check):
    page = signed_in
    page.goto("/app/keys/new")
    name, banner = page.get_by_label("Name", exact=True), page.locator("#offline")
    name.fill("CI")
    expect(banner).to_be_hidden()

    page.context.set_offline(True)
    expect(banner).to_contain_text("There is no connection.")
    check_page(page)
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text("Nothing was sent")).to_be_visible()
    page.get_by_role("link", name="Webhooks").click()
    expect(page.get_by_text("The page can be opened once it is back.")).to_be_visible()
    expect(page).to_have_url(re.compile("/app/keys/new$"))
    assert name.input_value() == "CI"
    assert not ApiKey.objects.exists()

    page.context.set_offline(False)
    expect(banner).to_be_hidden()
    expect(page.get_by_text("The connection is back.")).to_be_visible()
    page.get_by_role("button", name="Make the key").click()
    expect(page).not_to_have_url(re.compile("/app/keys/new$"))
    assert ApiKey.objects.get().name == "CI"


def test_a_part_that_cannot_be_loaded_is_said_and_leaves_the_page_as_it_was(page: Page):
    page.goto("/pricing")
    result, toasts = page.locator("#calculator-result"), page.locator("#toasts")
    before = result.inner_text()
    page.route("**/pricing/calculator*", lambda route: route.fulfill(status=500, body="<p>No</p>"))
    minutes = page.get_by_label("Minutes of audio")
    minutes.fill("90")
    expect(toasts).to_contain_text("A part of this page could not be loaded.")
    assert result.inner_text() == before
    expect(result).not_to_have_attribute("aria-busy", "true")

    page.unroute("**/pricing/calculator*")
    minutes.fill("91")
    expect(result).not_to_have_text(before)
