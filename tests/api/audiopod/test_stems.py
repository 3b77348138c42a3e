"""The stem family: modes, names as they come, and what is not to be had here."""

import json
from typing import Any

import pytest
from django.test import Client

from api.audiopod.stems import CATALOG, MODES, names_parse, ours_of
from jobs.models import Job
from separation import catalog
from tests.api.audiopod.steps import STEMS, ordered, wav
from tests.makers import run_jobs

pytestmark = pytest.mark.django_db

MODE, LEGACY, ADVANCED = f"{STEMS}/api/extract", f"{STEMS}/extract", f"{STEMS}/extract/advanced"


@pytest.mark.parametrize(
    ("path", "fields", "made"),
    [
        (MODE, {}, ["vocals", "drums", "bass", "other"]),
        (MODE, {"mode": "four"}, ["vocals", "drums", "bass", "other"]),
        (MODE, {"mode": "two"}, ["vocals", "no_vocals"]),
        (MODE, {"mode": "single", "stem": "Drums"}, ["drums"]),
        (MODE, {"mode": "single", "stem": "instrumental"}, ["instrumental"]),
        (LEGACY, {}, ["vocals", "drums", "bass", "other"]),
        (LEGACY, {"stem_types": "['vocals', 'bass']"}, ["vocals", "bass"]),
        (LEGACY, {"stem_types": '["vocals","bass"]'}, ["vocals", "bass"]),
        (LEGACY, {"stem_types": "vocals, bass"}, ["vocals", "bass"]),
        (LEGACY, {"stem_types": "['vocals']", "two_stems_mode": "drums"}, ["drums", "no_drums"]),
        (ADVANCED, {}, ["vocals", "drums", "bass", "other"]),
        (ADVANCED, {"package": "two"}, ["vocals", "no_vocals"]),
        (ADVANCED, {"package": "isolation", "target_instrument": "bass"}, ["bass", "no_bass"]),
        (ADVANCED, {"single_stem": "bass"}, ["bass"]),
        (ADVANCED, {"multi_stem_count": 4}, ["vocals", "drums", "bass", "other"]),
        (ADVANCED, {"custom_stems": '["bass"]'}, ["bass"]),
        (ADVANCED, {"two_stems_mode": "other"}, ["other", "no_other"]),
        (ADVANCED, {"target_stems": '["bass","drums"]'}, ["bass", "drums"]),
        (ADVANCED, {"package": "four", "exclude_stems": '["bass"]'}, ["vocals", "drums", "other"]),
    ],
)
def test_what_is_asked_for_is_made_under_their_names(
    client: Client, fake_separation: Any, path: str, fields: dict[str, Any], made: list[str]
):
    body = ordered(client, path, **fields)
    assert (body["status"], body["stem_paths"], body["download_urls"]) == ("PENDING", {}, {})
    assert run_jobs() == 1
    done = client.get(f"{STEMS}/status/{body['id']}").json()
    assert (done["status"], done["source_type"]) == ("COMPLETED", "FILE")
    assert list(done["download_urls"]) == list(done["stem_paths"]) == made
    assert done["stem_paths"] == {name: f"stems/{body['id']}/{name}.wav" for name in made}
    # The engine was asked for our names of the same, once each.
    assert list(fake_separation[0]["stems"]) == [ours for _, ours in ours_of(made, field="")]


@pytest.mark.parametrize(
    ("path", "fields", "field", "word"),
    [
        (MODE, {"mode": "all"}, "mode", "all"),
        (MODE, {"mode": "single"}, "stem", "single"),
        (MODE, {"mode": "single", "stem": "kazoo"}, "stem", "kazoo"),
        (MODE, {"mode": "single", "stem": "x" * 65}, "stem", "64"),
        (LEGACY, {"stem_types": "[]"}, "stem_types", "at least one"),
        (LEGACY, {"stem_types": "['vocals', 'kazoo']"}, "stem_types", "kazoo"),
        (LEGACY, {"model_name": "best"}, "model_name", "best"),
        (LEGACY, {"two_stems_mode": "piano"}, "two_stems_mode", "vocals"),
        (ADVANCED, {"package": "gold"}, "package", "producer"),
        (ADVANCED, {"package": "isolation"}, "target_instrument", "isolation"),
        (ADVANCED, {"multi_stem_count": 5}, "multi_stem_count", "2, 4, 6, 8, 12, 16"),
        (ADVANCED, {"multi_stem_count": 10**12}, "multi_stem_count", "64"),
        (ADVANCED, {"package": "two", "single_stem": "bass"}, "single_stem", "package"),
        (ADVANCED, {"custom_stems": "instrumental,no_vocals"}, "custom_stems", "same"),
        (ADVANCED, {"package": "two", "exclude_stems": "kazoo"}, "exclude_stems", "kazoo"),
        (ADVANCED, {"single_stem": "bass", "exclude_stems": "bass"}, "single_stem", "one"),
        (ADVANCED, {"method": "flat"}, "method", "flat"),
    ],
)
def test_what_means_nothing_is_named(
    client: Client, path: str, fields: dict[str, Any], field: str, word: str
):
    response = client.post(path, {"file": wav(), **fields})
    assert response.status_code == 400, response.content
    body = response.json()
    assert body["error_code"] == "INVALID_PARAMETER"
    assert list(body["details"]["fields"]) == [field]
    assert word in body["message"]
    assert not Job.objects.exists()


def test_a_stem_that_nothing_here_makes_is_named_before_any_charge(
    client: Client, alice: Any, roots_only: None
):
    response = client.post(MODE, {"file": wav(), "mode": "single", "stem": "organ"})
    assert response.status_code == 400
    body = response.json()
    assert body["error_code"] == "INVALID_PARAMETER"
    assert "organ" in body["message"]
    assert body["details"]["reason"] == "model_unavailable"
    assert not Job.objects.exists()


def test_every_mode_has_as_many_stems_as_it_says_all_of_them_known(
    client: Client, roots_only: None
):
    modes = Client().get(f"{STEMS}/modes").json()["modes"]
    counts = {mode["mode"]: mode["stem_count"] for mode in modes}
    assert counts == {
        **{"single": 1, "two": 2, "four": 4, "six": 6},
        **{"producer": 8, "studio": 12, "mastering": 16},
    }
    for mode in MODES.values():
        assert not mode.stems or len(ours_of(mode.stems, field="")) == mode.n_stems
    available = {mode["mode"] for mode in modes if mode["available"]}
    assert available == {"single", "two", "four"}


def test_with_all_models_every_mode_can_be_had(client: Client, whole_tree: None):
    modes = Client().get(f"{STEMS}/modes").json()["modes"]
    assert all(mode["available"] for mode in modes)
    stems = client.get(f"{STEMS}/catalog").json()["stems"]
    assert all(stem["allowed"] for stem in stems)


@pytest.mark.parametrize("name", [name for name in MODES if name != "single"])
def test_what_a_mode_calls_other_is_what_the_rest_of_it_leaves(
    client: Client, alice: Any, whole_tree: None, name: str
):
    response = client.post(MODE, {"file": wav(), "mode": name})
    assert response.status_code == 200, response.content
    job = Job.objects.get()
    assert len(job.stems) == MODES[name].n_stems
    assert any(set(job.stems) == set(one.stems) for one in catalog.sets() if one.adds_up)


def test_the_catalogue_tells_what_can_be_had(client: Client, roots_only: None):
    stems = client.get(f"{STEMS}/catalog").json()["stems"]
    assert {stem["id"] for stem in stems} == {stem.name for stem in CATALOG}
    known = {stem.name for stem in catalog.stems()}
    assert {stem.ours for stem in CATALOG} <= known
    groups: dict[str, int] = {}
    for stem in stems:
        groups[stem["group"]] = groups.get(stem["group"], 0) + 1
        assert stem["label"]
        assert stem["description"]
    assert (groups["core"], groups["vocals"]) == (7, 4)
    allowed = {stem["id"] for stem in stems if stem["allowed"]}
    assert {"vocals", "drums", "bass", "other", "instrumental"} <= allowed
    assert "organ" not in allowed


def test_packages_are_the_modes_of_several_stems(client: Client):
    packages = client.get(f"{STEMS}/packages/available").json()["packages"]
    assert [one["name"] for one in packages] == [name for name in MODES if name != "single"]
    assert {one["name"] for one in packages if one["allowed"]} >= {"two", "four"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(["vocals", "bass"]),
        str(["vocals", "bass"]),
        " [ 'vocals' ,\"bass\" ] ",
        "VOCALS,Bass",
        "vocals,,bass,",
    ],
)
def test_lists_are_read_however_they_are_written(text: str):
    assert names_parse(text) == ["vocals", "bass"]
