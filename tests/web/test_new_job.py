"""Ordering a job by the form alone, as without scripts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import Role, User, Workspace
from billing.selectors import wallet_get
from jobs.models import Asset, Job, JobState
from jobs.speaker_options import SpeakerOptions
from tests.makers import make_asset, make_grant, make_member, make_wav, make_workspace
from tests.web.conftest import sign_in
from tests.web.html import Page
from web.presets import presets

pytestmark = pytest.mark.django_db

PATH = "/app/new"


@pytest.fixture
def studio(person: User) -> Workspace:
    workspace = person.memberships.get().workspace
    make_grant(workspace, 100_000)
    return workspace


def recording(name: str = "song.wav", content: bytes | None = None) -> SimpleUploadedFile:
    content = make_wav(seconds=2) if content is None else content
    return SimpleUploadedFile(name, content, content_type="audio/wav")


def order(client: Client, **changes: Any) -> Any:
    body = {"preset": "stems-4", "key": str(uuid4()), **changes}
    return client.post(PATH, {name: value for name, value in body.items() if value is not None})


def refused(response: Any, status: int, *texts: str) -> None:
    page = response.content.decode()
    assert response.status_code == status
    assert Page(page).problems() == []
    assert "Nothing was ordered." in page
    for text in texts:
        assert text in page
    assert not Job.objects.exists()


def test_what_can_be_made_here_is_offered(signed_in: Client, studio: Workspace):
    page = signed_in.get(PATH).content.decode()
    tags = Page(page)
    assert tags.problems() == []
    radios = {tag["value"]: tag for tag in tags.all("input") if tag.get("name") == "preset"}
    assert list(radios) == [preset.code for preset in presets()]
    assert radios["stems-4"]["data-stems"] == "vocals drums bass other"
    assert [code for code, tag in radios.items() if "checked" in tag] == ["stems-4"]
    assert "credits a minute" in page
    assert "up to 2 GB and 3 hours each" in page
    config = json.loads(page.split('id="upload-config" type="application/json">')[1].split("<")[0])
    assert config["available_mcr"] == 100_000
    assert config["prices"]["separation"] == {"unit": "per_second", "amount": 2500, "quantity": 1}


def test_nothing_is_offered_that_is_not_installed(signed_in: Client, monkeypatch: Any):
    monkeypatch.setattr("jobs.catalog._one_of", lambda packages: ([], False))
    monkeypatch.setattr("jobs.catalog.can_be_made", frozenset)
    assert [preset.code for preset in presets()] == ["conversion"]
    assert Page(signed_in.get(PATH).content.decode()).problems() == []
    monkeypatch.setattr("web.app.new_job.presets", lambda **_: [])
    page = signed_in.get(PATH).content.decode()
    assert "Nothing can be made here at the moment" in page


@pytest.mark.parametrize("query", ["preset=speakers", "service=speaker_extraction"])
def test_an_address_chooses_the_preset(signed_in: Client, query: str):
    page = Page(signed_in.get(f"{PATH}?{query}").content.decode())
    chosen = [
        tag["value"] for tag in page.all("input") if "checked" in tag and "preset" in tag["id"]
    ]
    assert chosen == ["speakers"]


def test_a_file_becomes_a_job(signed_in: Client, studio: Workspace):
    response = order(signed_in, file=recording(), formats=["flac", "mp3"])
    job = Job.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/app/jobs/{job.uuid}")
    assert job.asset is not None
    assert (job.asset.filename, job.workspace) == ("song.wav", studio)
    assert (job.service, job.stems) == ("separation", ["vocals", "drums", "bass", "other"])
    assert (job.output_format, job.more_formats) == ("flac", ["mp3"])
    assert (job.price_mcr, wallet_get(workspace=studio).held_mcr) == (5_000, 5_000)


def test_every_option_arrives(signed_in: Client, studio: Workspace):
    order(
        signed_in,
        file=recording(),
        preset="speakers",
        num_speakers=2,
        overlap="both",
        pauses="close",
        loudness="-16",
        denoise="on",
        steps=["denoise"],
        start_s="0:00.5",
        end_s="1.5",
        callback_url="https://example.org/done",
        # Of another service: as if they were not there.
        stems=["vocals"],
        model="htdemucs",
    )
    job = Job.objects.get()
    assert job.service == "speaker_extraction"
    assert SpeakerOptions.from_json(job.options) == SpeakerOptions(
        num_speakers=2, overlap="both", pauses="close", loudness=-16.0, denoise=True, clips=False
    )
    assert (job.steps, job.callback_url) == (["denoise"], "https://example.org/done")
    assert (job.range_start, job.range_end) == (22_050, 66_150)


@pytest.mark.parametrize("preset", [preset.code for preset in presets()])
def test_each_preset_is_a_good_order(
    signed_in: Client, studio: Workspace, tmp_path: Path, preset: str
):
    asset = make_asset(studio, tmp_path, seconds=0.5)
    assert order(signed_in, preset=preset, asset=asset.uuid).status_code == 302
    assert Job.objects.get().asset == asset


def test_a_preview_is_short_and_paid_so(signed_in: Client, studio: Workspace, tmp_path: Path):
    asset = make_asset(studio, tmp_path, seconds=40)
    order(signed_in, asset=asset.uuid, preview="on", start_s="5", end_s="1")
    job = Job.objects.get()
    assert (job.range_start, job.range_end) == (5 * 44_100, 35 * 44_100)
    assert (job.is_preview, job.price_mcr) == (True, 75_000)


def test_an_address_is_fetched_later(signed_in: Client, studio: Workspace):
    url = "https://example.org/song.wav"
    assert order(signed_in, url=url).status_code == 302
    job = Job.objects.get()
    assert job.ingest is not None
    assert (job.state, job.ingest.url) == (JobState.WAITING, url)


def test_a_form_that_is_sent_twice_orders_once(
    signed_in: Client, studio: Workspace, tmp_path: Path
):
    asset, key = make_asset(studio, tmp_path), str(uuid4())
    locations = [order(signed_in, asset=asset.uuid, key=key)["Location"] for _ in range(2)]
    assert locations[0] == locations[1]
    for _ in range(2):
        order(signed_in, file=recording(), key=key)
    assert Job.objects.count() == 1


def test_a_key_that_is_none_is_no_obstacle(signed_in: Client, studio: Workspace):
    for key in ("", "x"):
        assert order(signed_in, file=recording(), key=key).status_code == 302
    assert Job.objects.count() == 2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "Choose a file, or name its address."),
        ({"url": "https://example.org/a.wav", "file": recording()}, "Choose a file"),
        ({"url": "https://example.org/a.wav", "preset": "unknown"}, "unknown"),
        ({"url": "https://example.org/a.wav", "start_s": "soon"}, "such as 1:30"),
        ({"url": "https://example.org/a.wav", "start_s": "9", "end_s": "0:09"}, "after the start"),
        ({"url": "https://example.org/a.wav", "num_speakers": "99"}, "20"),
        (
            {
                "url": "https://example.org/a.wav",
                "preset": "speakers",
                "min_speakers": 3,
                "max_speakers": 2,
            },
            "This is more than max_speakers.",
        ),
    ],
)
def test_mistakes_are_said(
    signed_in: Client, studio: Workspace, changes: dict[str, Any], text: str
):
    refused(order(signed_in, **changes), 400, text)


def test_an_address_that_is_none_is_refused(signed_in: Client, studio: Workspace):
    refused(order(signed_in, url="ftp://example.org/a.wav"), 422, "http")


def test_stems_that_no_model_makes_together_are_refused(
    signed_in: Client, studio: Workspace, tmp_path: Path
):
    asset = make_asset(studio, tmp_path)
    response = order(signed_in, asset=asset.uuid, stems=["drums", "accompaniment"])
    refused(response, 400, "No single model makes")


@pytest.mark.parametrize(
    ("content", "status"), [(b"", 422), (b"RIFF" + bytes(200), 422), (b"no sound", 422)]
)
def test_what_is_no_recording_is_refused(
    signed_in: Client, studio: Workspace, content: bytes, status: int
):
    refused(order(signed_in, file=recording(content=content)), status)
    assert not Asset.objects.exists()


def test_a_file_above_the_limit_is_refused(
    signed_in: Client, studio: Workspace, settings: Any, stored: Callable[[], list[str]]
):
    settings.UPLOAD_MAX_BYTES = 1000
    refused(order(signed_in, file=recording()), 413, "larger than 1000 bytes")
    assert stored() == []


def test_without_credits_nothing_is_ordered(signed_in: Client, person: User):
    refused(order(signed_in, file=recording()), 402, "credits")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.BILLING])
def test_who_may_not_order_sees_no_form(client: Client, role: Role):
    workspace = make_workspace("Studio", credits=100)
    make_member(workspace, role, email="v@example.org")
    sign_in(client, "v@example.org")
    assert client.get(PATH).status_code == 403
    assert order(client, file=recording()).status_code == 403
    assert not Asset.objects.exists()


def test_strangers_are_asked_to_sign_in(client: Client):
    assert client.get(PATH)["Location"] == f"/account/login/?next={PATH}"
    assert order(client, file=recording()).status_code == 302
    assert not Asset.objects.exists()


def test_recordings_of_others_are_not_there(signed_in: Client, studio: Workspace, tmp_path: Path):
    asset = make_asset(make_workspace("Other"), tmp_path)
    assert signed_in.get(f"{PATH}?asset={asset.uuid}").status_code == 404
    assert signed_in.get(f"{PATH}?asset=x").status_code == 200
    assert order(signed_in, asset=asset.uuid).status_code == 404
    assert not Job.objects.exists()


def test_a_recording_that_is_here_can_be_named(
    signed_in: Client, studio: Workspace, tmp_path: Path
):
    asset = make_asset(studio, tmp_path, name="take 2.wav")
    page = signed_in.get(f"{PATH}?asset={asset.uuid}").content.decode()
    assert "take 2.wav, which is here already" in page
    assert Page(page).problems() == []


def test_a_form_of_another_site_is_refused(person: User, studio: Workspace):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    assert order(client, file=recording()).status_code == 403
    assert not Asset.objects.exists()


def test_bodies_take_turns(signed_in: Client, studio: Workspace, settings: Any):
    settings.UPLOAD_BODIES_PER_OWNER = 0
    assert order(signed_in, file=recording()).status_code == 503
    assert not Asset.objects.exists()
