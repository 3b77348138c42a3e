"""What is offered, and what is known without being offered."""

from pathlib import Path

import pytest

from jobs.catalog import service_offers, stem_offers, step_offers
from jobs.models import Service


def test_a_stem_that_no_model_makes_is_listed_as_unavailable():
    offers = {offer.name: offer for offer in stem_offers()}
    assert (offers["piano"].models, offers["piano"].available) == ([], False)
    assert offers["piano"].title == "Piano"
    assert (offers["vocals"].models[0], offers["vocals"].available) == ("htdemucs", True)


def test_a_step_that_no_tool_does_is_listed_as_unavailable():
    found = {offer.name: (offer.tools, offer.available) for offer in step_offers()}
    assert found == {
        "denoise": (["deepfilternet3"], True),
        "deecho": ([], False),
        "dereverb": ([], False),
    }


def test_every_service_is_offered():
    offers = {offer.name: offer for offer in service_offers()}
    assert list(offers) == Service.values
    assert offers["separation"].models[0] == "htdemucs"
    assert offers["speaker_diarization"].models == offers["speaker_extraction"].models
    assert offers["enhancement"].models == ["deepfilternet3"]
    assert offers["transcription"].models == ["basic-pitch"]
    assert offers["analysis"].models == ["beatnet", "basic-pitch"]
    assert offers["conversion"].models == []


def test_where_nothing_is_installed_only_conversion_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "empty"))
    assert [offer.name for offer in service_offers() if offer.available] == ["conversion"]
