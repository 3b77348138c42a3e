"""The start page, what is around it, and what crawlers ask for."""

import json
import re
import struct
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.robotparser import RobotFileParser
from xml.etree import ElementTree

import pytest
from django.conf import settings as configured
from django.http import JsonResponse
from django.test import Client

from billing.models import Price
from tests.makers import make_prices, make_shop
from tests.web.html import Page

pytestmark = pytest.mark.django_db

STATIC = Path(configured.BASE_DIR) / "static"


def text_of(client: Client, path: str = "/") -> str:
    response = client.get(path)
    assert response.status_code == 200
    text = response.content.decode()
    assert Page(text).problems() == []
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_facts_are_those_of_settings_and_prices(client: Client, settings: Any):
    make_prices()
    make_shop()
    settings.UPLOADS_DAYS, settings.RESULTS_DAYS = 5, 21
    settings.RECORDING_MAX_SECONDS = 5400
    text = text_of(client)
    assert "after 5 days, results after 21" in text
    assert "1.5 hours, 2.0 GB" in text.replace("\xa0", " ")
    assert "150 credits" in text


def test_without_prices_nothing_is_promised(client: Client):
    Price.objects.all().delete()
    assert "not for sale here" in text_of(client)


@pytest.mark.parametrize(("credits", "said"), [(0, "Create an account"), (600, "Start with 600")])
def test_free_credits_are_named_if_there_are_some(
    client: Client, settings: Any, credits: int, said: str
):
    settings.WELCOME_CREDITS = credits
    text = text_of(client)
    assert said in text
    assert ("free credits" in text) is bool(credits)


def test_who_is_signed_in_goes_on_to_work(signed_in: Client):
    text = text_of(signed_in)
    assert "Create an account" not in text
    assert "Dashboard" in text


def test_licences_of_models_are_shown_as_they_are(client: Client):
    text = text_of(client)
    if "htdemucs" in text:
        assert "not for commercial use." in text


def test_the_demo_is_in_the_players_form(client: Client):
    response = client.get("/demo/player.json")
    demo = response.json()
    assert (demo["state"], demo["n_samples"], demo["sample_rate"]) == ("ready", 1_014_300, 44_100)
    assert [lane["name"] for lane in demo["lanes"]] == ["vocals", "drums", "bass", "other"]
    assert demo["original"]["kind"] == "recording"
    total = 0
    for lane in [*demo["lanes"], demo["original"]]:
        sound, peaks = (
            STATIC / lane[kind]["url"].split("/static/")[1] for kind in ("audio", "peaks")
        )
        assert lane["audio"]["offsets"] == [0, sound.stat().st_size]
        last = lane["peaks"]["levels"][-1]
        assert last["offset"] + 2 * last["count"] == peaks.stat().st_size
        assert [level["count"] for level in lane["peaks"]["levels"]] == [2300, 230, 23]
        total += sound.stat().st_size + peaks.stat().st_size
    assert total < 1_510_000


def test_links_to_legal_texts_are_the_operators(client: Client, settings: Any):
    assert "Imprint" not in client.get("/").content.decode()
    settings.LEGAL_LINKS = {"terms": "", "privacy": "", "imprint": "https://example.org/imprint"}
    html = client.get("/").content.decode()
    assert '<a href="https://example.org/imprint">Imprint</a>' in html
    assert "Terms" not in html


def test_status_says_what_probes_say(client: Client):
    text = text_of(client, "/status")
    assert "Everything works." in text
    answers = {
        "degraded": ({"status": "degraded", "database": True, "broker": False}, 200),
        "unavailable": ({"status": "unavailable", "database": True, "storage": False}, 503),
    }
    for words, (body, status) in zip(
        ("may begin later", "does not work at the moment"), answers.values(), strict=True
    ):
        found = mock.Mock(func=lambda _: JsonResponse(body, status=status))  # noqa: B023
        with mock.patch("web.public.status.resolve", return_value=found):
            response = client.get("/status")
        assert response.status_code == status
        assert words in response.content.decode()
        assert "does not work" in response.content.decode()


def test_crawlers_find_the_public_pages_only(client: Client, settings: Any):
    settings.SITE_URL = "https://stems.example.org"
    robots = client.get("/robots.txt").content.decode()
    rules = RobotFileParser()
    rules.parse(robots.splitlines())
    assert not any(rules.can_fetch("*", path) for path in ("/app/", "/account/signup/", "/v1/jobs"))
    assert "Sitemap: https://stems.example.org/sitemap.xml\n" in robots
    response = client.get("/sitemap.xml")
    assert response["Content-Type"] == "application/xml"
    addresses = [element.text or "" for element in ElementTree.fromstring(response.content).iter()]
    addresses = [address.strip() for address in addresses if address.strip()]
    assert "https://stems.example.org/docs/quickstart" in addresses
    for address in addresses:
        path = address.removeprefix("https://stems.example.org")
        assert rules.can_fetch("*", path)
        response = client.get(path)
        assert response.status_code == 200
        assert f'<link rel="canonical" href="{address}">' in response.text
        assert "noindex" not in response.text
    for path in ("/status", "/account/login/", "/nowhere"):
        response = client.get(path)
        assert '<meta name="robots" content="noindex, nofollow">' in response.text
        assert "canonical" not in response.text
    assert client.get("/favicon.ico")["Location"] == "/static/icon.svg"


def test_a_link_to_a_page_is_shown_with_its_words_and_a_picture(client: Client, settings: Any):
    settings.SITE_URL = "https://stems.example.org"
    page = Page(client.get("/pricing").text)
    said = {one.get("property", one.get("name")): one["content"] for one in page.all("meta")[2:]}
    assert said["og:title"] == "Pricing"
    assert said["og:description"] == said["description"]
    assert said["og:url"] == "https://stems.example.org/pricing"
    assert said["og:image"].startswith("https://stems.example.org/static/share")
    assert said["twitter:card"] == "summary_large_image"


def test_an_app_on_a_home_screen_has_a_name_and_icons_that_are_there(client: Client):
    manifest = client.get("/site.webmanifest")
    assert manifest["Content-Type"] == "application/manifest+json"
    body = manifest.json()
    assert (body["name"], body["start_url"], body["lang"]) == ("Stemwright", "/app/", "en")
    assert [icon["sizes"] for icon in body["icons"]] == ["any", "192x192", "512x512"]
    for size in (180, 192, 512):
        assert _size_of(f"icon-{size}.png") == (size, size)
    assert _size_of("share.png") == (1200, 630)


def _size_of(name: str) -> tuple[int, int]:
    """Of a PNG, by its first chunk."""
    head = (Path(configured.BASE_DIR) / "static" / name).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_the_player_of_the_demo_is_made_of_committed_files():
    names = json.loads((STATIC / "demo" / "lanes.json").read_text())
    assert set(names["sdr_db"]) == {"vocals", "drums", "bass", "other"}
