"""What is around every page."""

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Membership, Role, User
from tests.makers import make_workspace

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_workspace_is_chosen_from_the_menu(signed_in: Page, person: User):
    other = make_workspace("Band", credits=0)
    Membership.objects.create(user=person, workspace=other, role=Role.VIEWER)
    signed_in.goto("/app/")
    signed_in.get_by_role("button", name="Account and workspaces").click()
    signed_in.get_by_role("button", name="Band").click()
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("Band")


def test_the_narrow_menu_opens_and_closes_by_keyboard(signed_in: Page):
    signed_in.set_viewport_size({"width": 360, "height": 740})
    signed_in.goto("/app/")
    pages = signed_in.get_by_role("navigation", name="Pages")
    expect(pages).to_be_hidden()
    signed_in.get_by_role("button", name="Menu").focus()
    signed_in.keyboard.press("Enter")
    expect(pages).to_be_visible()
    signed_in.keyboard.press("Escape")
    expect(pages).to_be_hidden()


def test_language_and_colours_stay_as_chosen(page: Page):
    page.goto("/")
    page.get_by_label("Colours").select_option("dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_label("Language").select_option("de")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
