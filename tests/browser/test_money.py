"""Usage, credits and invoices in a browser."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from billing.ledger import hold_capture
from billing.models import AutoTopUp
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.steps import buy_pack, settle
from tests.makers import make_asset, make_job, make_shop
from tests.web.test_usage import make_used

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_chart_says_what_the_table_says(
    signed_in: Page, person: User, tmp_path: Path, check_page: Callable[[Page], None]
):
    page, today = signed_in, datetime.now(UTC).date()
    days = [str(today - timedelta(days=back)) for back in (0, 1, 4, 12)]
    rows = [
        (days[0], "separation", 50_000),
        (days[0], "analysis", 2_000),
        (days[1], "separation", 35_500),
        (days[2], "speaker_extraction", 80_000),
        (days[3], "transcription", 8_250),
    ]
    workspace = person.memberships.get().workspace
    make_used(workspace, tmp_path, *rows)
    page.goto("/app/usage")
    chart = page.get_by_role("slider", name="Day")
    expect(chart).to_be_visible()
    # Drawn: the bars' colours are on the canvas.
    colours = """canvas => {
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      const found = new Map();
      for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] === 255) {
          const rgb = `rgb(${data[at]}, ${data[at + 1]}, ${data[at + 2]})`;
          found.set(rgb, (found.get(rgb) ?? 0) + 1);
        }
      }
      return Object.fromEntries(found);
    }"""
    drawn = page.locator(".usage-chart canvas").evaluate(colours)
    wanted = page.locator("#usage-table th .dot").evaluate_all(
        "dots => dots.map(dot => getComputedStyle(dot).backgroundColor)"
    )
    assert len(wanted) == len(set(wanted)) == 4
    # Bars are as high as their numbers: 85.5 to 80 to 8.25 to 2.
    areas = [drawn.get(colour, 0) for colour in wanted]
    assert areas == sorted(areas, reverse=True)
    assert areas[-1] > 0

    # The same by keyboard, in words.
    chart.focus()
    expect(chart).to_have_attribute("aria-valuetext", _contains("Total 52", "stems 50", "key 2"))
    page.keyboard.press("ArrowLeft")
    expect(chart).to_have_attribute("aria-valuetext", _contains("Total 35.5"))
    expect(page.locator("[data-readout]")).to_contain_text("35.5")
    page.keyboard.press("Home")
    expect(chart).to_have_attribute("aria-valuetext", _contains("Total 0"))

    # The table twin, by keyboard.
    page.get_by_role("tab", name="Chart").focus()
    page.keyboard.press("ArrowRight")
    table = page.get_by_role("table", name="Credits charged on each day")
    expect(table).to_be_visible()
    expect(chart).to_be_hidden()
    said = table.locator("td[data-value]").evaluate_all(
        "cells => cells.reduce((sum, cell) => sum + Number(cell.dataset.value), 0)"
    )
    assert said == sum(amount for _, _, amount in rows)
    check_page(page)


def test_credits_are_read_counted_and_topped_up(
    signed_in: Page,
    person: User,
    tmp_path: Path,
    fake_stripe: FakeStripe,
    stripe_sender: Sender,
    check_page: Callable[[Page], None],
):
    make_shop()
    page, workspace = signed_in, person.memberships.get().workspace
    _, payment = buy_pack(fake_stripe, workspace)
    name = f"{'a_name_without_any_space_' * 6}.wav"
    job = make_job(workspace, make_asset(workspace, tmp_path, name=name))
    hold_capture(job_uuid=job.uuid, amount_mcr=2_500)

    # Back from paying: the page waits, and shows the credits once the event is here.
    page.goto("/account/billing?checkout=done")
    expect(page.locator("#arrival")).to_contain_text("as soon as the payment is confirmed")
    settle(fake_stripe, stripe_sender)
    expect(page.locator("#arrival")).to_contain_text("10,000 credits have arrived")
    expect(page.get_by_text("10,497.5").first).to_be_visible()
    expect(page.get_by_text("A card is saved")).to_be_visible()

    # What something costs is said while it is typed, with the fields that count.
    expect(page.get_by_label("Stems", exact=True)).to_be_hidden()
    page.get_by_label("Service").select_option("stem_extraction")
    expect(page.get_by_label("Stems", exact=True)).to_be_visible()
    page.get_by_label("Minutes of audio").fill("1")
    result = page.locator("#calculator-result")
    expect(result).to_contain_text("3.245 credits")
    page.get_by_label("Minutes of audio").fill("x")
    expect(result).to_contain_text("Give a length in minutes")

    # By keyboard alone: a wrong ceiling is said beside it, a right one is saved.
    page.get_by_label("Buy a pack automatically").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("500")
    ceiling = page.get_by_label("Never spend more in a month than")
    ceiling.fill("1")
    page.keyboard.press("Enter")
    expect(page.get_by_text("less than one pack costs, 5.00 USD")).to_be_visible()
    check_page(page)
    ceiling.fill("25")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The automatic top-up is on.")).to_be_visible()
    assert AutoTopUp.objects.get().threshold_mcr == 500_000

    # A line of the ledger leads to its payment, beside the invoices.
    page.get_by_role("table", name="Ledger").get_by_role("link", name="Pack “Starter”").click()
    expect(page.locator(f"#payment-{payment.uuid}")).to_contain_text("paid")
    expect(page.get_by_role("link", name="PDF of invoice")).to_be_visible()


def test_everything_is_there_without_javascript(
    chromium: Browser,
    live_server: Any,
    signed_in: Page,
    person: User,
    fake_stripe: FakeStripe,
    tmp_path: Path,
):
    make_shop()
    workspace = person.memberships.get().workspace
    today = str(datetime.now(UTC).date())
    make_used(workspace, tmp_path, (today, "separation", 50_000))
    context = chromium.new_context(
        base_url=live_server.url,
        java_script_enabled=False,
        storage_state=signed_in.context.storage_state(),
    )
    page = context.new_page()
    page.goto("/app/usage")
    expect(page.locator("#usage-table")).to_contain_text("50")
    expect(page.get_by_role("tab")).to_have_count(0)
    page.goto("/app/credits")
    page.get_by_label("Minutes of audio").fill("2")
    page.get_by_role("button", name="Calculate").click()
    expect(page.locator("#calculator-result")).to_contain_text("300 credits")
    page.goto("/app/invoices")
    page.get_by_role("link", name="Show the invoices").click()
    expect(page.get_by_text("There are no invoices yet.")).to_be_visible()
    context.close()


def _contains(*words: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(word) for word in words))
