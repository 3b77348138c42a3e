"""What is offered, and what is known without being offered."""

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.catalog import model_offers, service_offers, stem_offers, step_offers
from jobs.models import Service
from separation import catalog


def test_a_stem_that_no_model_makes_is_listed_as_unavailable():
    offers = {offer.name: offer for offer in stem_offers()}
    assert not any(offer.available for offer in offers.values() if not offer.models)
    assert (offers["piano"].title, offers["piano"].parent) == ("Piano", "other")
    assert (offers["vocals"].models[0], offers["vocals"].available) == ("htdemucs", True)


def test_stems_and_models_show_what_was_measured():
    vocals = next(offer for offer in stem_offers() if offer.name == "vocals")
    of_first = catalog.quality_of("vocals", "htdemucs")
    assert (vocals.sdr_db, vocals.margin_db) == (of_first.sdr_db, of_first.margin_db)
    assert not vocals.experimental
    assert {one.model for one in vocals.quality} >= {"htdemucs", "spleeter-2stems"}
    model = next(offer for offer in model_offers() if offer.name == "spleeter-2stems")
    assert {one.stem for one in model.quality} == {"vocals", "accompaniment", "instrumental"}
    assert (model.method, model.input) == ("network", "")
    assert model.seconds is not None


def test_a_stem_whose_figures_do_not_reach_is_experimental(monkeypatch: pytest.MonkeyPatch):
    weak = [
        replace(one, sdr_db=one.parent_db + 1.9)
        for one in catalog.quality_of("drums", "htdemucs").measurements
    ]
    monkeypatch.setattr("separation.catalog.measured.measurements", lambda: tuple(weak))
    offers = {offer.name: offer for offer in stem_offers()}
    assert offers["drums"].experimental
    assert offers["drums"].margin_db == pytest.approx(1.9)
    # What was never measured is too.
    assert offers["vocals"].experimental
    assert (offers["vocals"].sdr_db, offers["vocals"].quality) == (None, [])


def test_each_step_names_its_tools():
    found = {offer.name: (offer.tools, offer.available) for offer in step_offers()}
    assert found == {
        "denoise": (["deepfilternet3"], True),
        "deecho": (["echo-prediction"], True),
        "dereverb": (["late-reverb"], True),
    }


def test_every_service_is_offered():
    offers = {offer.name: offer for offer in service_offers()}
    assert list(offers) == Service.values
    assert offers["separation"].models[0] == "htdemucs"
    assert offers["speaker_diarization"].models == offers["speaker_extraction"].models
    steps = ["deepfilternet3", "echo-prediction", "late-reverb"]
    assert sorted(offers["enhancement"].models) == steps
    assert offers["transcription"].models == ["basic-pitch"]
    assert offers["analysis"].models == ["beatnet", "basic-pitch"]
    assert offers["conversion"].models == []


def test_where_nothing_was_fetched_what_comes_with_the_software_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "empty"))
    able = [offer.name for offer in service_offers() if offer.available]
    assert able == ["enhancement", "conversion"]
    steps = {offer.name: offer.available for offer in step_offers()}
    # What hears whether it is speech or music is fetched.
    assert steps == {"denoise": False, "deecho": True, "dereverb": False}
