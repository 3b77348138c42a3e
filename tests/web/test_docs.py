"""The documentation as pages: every link leads somewhere, and what it says of errors is so."""

import re
from html import unescape
from typing import Any
from urllib.parse import urldefrag, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from accounts.api_keys import api_key_create
from accounts.audit import Actor
from accounts.models import Role, User
from config.errors import InsufficientCredits
from tests.makers import make_member
from tests.web.html import Page
from web.docs.generated import error_classes
from web.docs.pages import ROOT, SECTIONS, page_get, pages_list
from web.docs.rendering import render
from web.docs.searching import search

pytestmark = pytest.mark.django_db

SLUGS = [slug for section in SECTIONS for slug in section.all_slugs()]


def text_of(client: Client, slug: str) -> str:
    response = client.get(reverse("docs-page", args=[slug]))
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("slug", SLUGS)
def test_every_page_is_sound(client: Client, slug: str):
    assert Page(text_of(client, slug)).problems() == []


def test_every_file_is_a_page_once():
    files = {path.relative_to(ROOT).with_suffix("").as_posix() for path in ROOT.rglob("*.md")}
    assert sorted(SLUGS) == sorted(files)


def test_every_link_leads_somewhere(client: Client):
    """Within our pages, to the heading that it names."""
    pages: dict[str, tuple[int, set[str]]] = {}

    def visit(path: str) -> tuple[int, set[str]]:
        if path not in pages:
            response = client.get(path)
            is_page = response["Content-Type"].startswith("text/html")
            ids = re.findall(r'\bid="([^"]+)"', response.content.decode()) if is_page else []
            pages[path] = (response.status_code, set(ids))
        return pages[path]

    broken = []
    starts = [reverse("docs"), *(reverse("docs-page", args=[slug]) for slug in SLUGS)]
    for start in starts:
        html = client.get(start).content.decode()
        for address in map(unescape, re.findall(r'<a [^>]*?href="([^"]+)"', html)):
            if urlsplit(address).scheme:
                continue
            path, fragment = urldefrag(address)
            status, ids = visit(path or start)
            if status not in (200, 302) or (fragment and fragment not in ids):
                broken.append(f"{start}: {address}")
    assert broken == []


def test_what_is_not_a_page_is_not_there(client: Client):
    for slug in ("nothing", "../README", "adr/../../README", "img/demo-stems", "quickstart/"):
        assert client.get(f"/docs/{slug}").status_code == 404
        assert client.get(f"/docs/{slug}.md").status_code == 404


def test_errors_are_those_of_the_program(client: Client):
    text = unescape(re.sub(r"<[^>]+>", "", text_of(client, "errors")))
    for one in error_classes():
        assert one.code in text
        assert one().english.replace("`", "") in text
    assert InsufficientCredits in error_classes()


def test_limits_are_those_of_the_settings(client: Client, settings: Any):
    text = text_of(client, "limits")
    assert "<td>2 GiB</td>" in text
    assert "<td>3 hours</td>" in text
    assert "<td>14 days</td>" in text


def test_code_says_this_services_address(client: Client, settings: Any):
    settings.SITE_URL = "https://stems.example.org"
    for text in (
        text_of(client, "quickstart"),
        client.get("/docs/quickstart.md").content.decode(),
    ):
        assert "https://stems.example.org" in text
        assert "stemwright.example" not in text


def test_markup_in_the_texts_is_shown_and_not_used():
    made = render(
        "# A\n\n<script>alert(1)</script> [x](javascript:alert(1))\n", slug="a", title_of=str
    )
    assert "<script>" not in made.html
    assert "href" not in made.html


def test_headings_have_addresses_as_on_github():
    made = render("# A\n\n## What is `x`, then?\n\n## Again\n\n## Again\n", slug="a", title_of=str)
    assert [one.anchor for one in made.headings] == ["what-is-x-then", "again", "again-1"]


def test_links_go_between_pages_and_not_to_files_that_are_not_served():
    text = "# A\n\n[b](b.md#c) [r](../../README.md) [s](../../x/y.py) [b.md](b.md)\n"
    made = render(text, slug="migrating/a", title_of=str.upper)
    assert 'href="/docs/migrating/b#c"' in made.html
    assert '<a href="/docs/migrating/b">MIGRATING/B</a>' in made.html
    assert made.html.count("href") == 2
    assert "r s" in made.html


def test_blocks_that_say_the_same_become_tabs():
    made = render(
        "# A\n\n```bash\nls\n```\n\n```python\nx = 1\n```\n\n```python\ny\n```\n",
        slug="a",
        title_of=str,
    )
    assert made.html.count("data-languages") == 1
    assert made.html.count('data-language="') == 2
    assert made.html.count("<pre") == 3


def test_search_finds_what_has_all_words(client: Client):
    assert search("webhook signature")[0].page.slug == "webhooks"
    assert search("RTTM")[0].page.slug == "speakers"
    assert search("zzz webhook") == []
    assert search(" ") == []
    page = client.get("/docs/search", {"q": "<b>webhook"}).content.decode()
    assert "Nothing has all of these words" in page
    assert "<b>webhook" not in page
    part = client.get("/docs/search", {"q": "webhook", "part": "1"}).content.decode()
    assert part.startswith("<ul>")
    assert 'href="/docs/webhooks' in part


def test_programs_read_it_too(client: Client):
    response = client.get("/llms.txt")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    text = response.content.decode()
    assert text.startswith("# Stemwright\n\n> ")
    for _, pages in pages_list():
        for page in pages:
            is_listed = f"/docs/{page.slug}.md" in text
            assert is_listed is not page.slug.startswith("adr/")
    answer = client.get("/docs/jobs.md")
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer.content.decode() == page_get("jobs").source


def test_the_quickstart_names_the_readers_key(client: Client, signed_in: Client, person: User):
    workspace = person.memberships.get().workspace
    assert "You need an account" in text_of(Client(), "quickstart")
    assert "no key yet" in text_of(signed_in, "quickstart")
    key, secret = api_key_create(
        workspace=workspace, name="Studio <b>", scopes=["*"], actor=Actor.of_user(person)
    )
    text = text_of(signed_in, "quickstart")
    assert f"ap_{key.key_id}" in text
    assert secret not in text
    assert "Studio &lt;b&gt;" in text
    viewer = make_member(workspace, Role.VIEWER, email="viewer@example.org")
    other = Client()
    other.force_login(viewer)
    assert key.key_id not in text_of(other, "quickstart")
