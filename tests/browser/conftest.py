"""A real Chromium on the service's pages.

What STEMWRIGHT_CHROMIUM names is taken, else the machine's own, else the one that
`scripts/chromium` has fetched. Without any, these tests are skipped, and the run says so loudly.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    expect,
    sync_playwright,
)

from accounts.models import Role, User
from tests.browser.axe import WIDE as WIDE
from tests.browser.axe import problems_of
from tests.makers import make_member, make_workspace

_FETCHED = Path(configured.BASE_DIR) / "var" / "chromium" / "chromium"
CHROMIUM = (
    os.environ.get("STEMWRIGHT_CHROMIUM")
    or shutil.which("chromium")
    or (str(_FETCHED) if _FETCHED.exists() else None)
)
# Long, for a machine with much else to do: what passes does not wait for it.
_PATIENCE_MS = 60_000


# Of a module, not of the session: while Playwright runs, this thread has an event loop, with which
# neither Django's database nor tests of asyncio get on.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: nothing was tried in a browser")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--autoplay-policy=user-gesture-required",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, live_server: Any) -> Iterator[BrowserContext]:
    context = chromium.new_context(base_url=live_server.url, viewport=WIDE, locale="en-GB")
    context.set_default_timeout(_PATIENCE_MS)
    expect.set_options(timeout=_PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which nothing may go wrong: no error of a script, no refusal by the policy, no
    request to another origin."""
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    page.on(
        "console",
        lambda message: problems.append(message.text) if _is_bad(message.text) else None,
    )
    page.on(
        "request",
        lambda request: (
            problems.append(f"request to {request.url}")
            if not request.url.startswith(
                ("http://localhost", "http://127.0.0.1", "blob:", "data:")
            )
            else None
        ),
    )
    yield page
    assert problems == []


def _is_bad(text: str) -> bool:
    return "Content Security Policy" in text or "Refused to" in text


@pytest.fixture
def person(transactional_db: None) -> User:
    return make_member(make_workspace("Studio", credits=500), Role.OWNER, email="alice@example.org")


@pytest.fixture
def signed_in(person: User, page: Page, live_server: Any) -> Page:
    """The page, with the session of `person`, without the way through the form."""
    client = Client()
    client.force_login(person)
    name = configured.SESSION_COOKIE_NAME
    page.context.add_cookies(
        [{"name": name, "value": client.cookies[name].value, "url": live_server.url}]
    )
    return page


@pytest.fixture
def check_page() -> Callable[[Page], None]:
    """For what only a journey gets to: all others are seen by test_accessibility.py."""

    def check(page: Page) -> None:
        assert problems_of(page) == []

    return check
