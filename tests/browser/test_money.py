"""Usage, credits and invoices in a browser."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
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
    check_page(page)

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


def _contains(*words: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(word) for word in words))
