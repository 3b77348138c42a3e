import json
from typing import Any

import pytest
from django.test import Client

from api.musicgpt import ordering
from api.musicgpt.names import STEMS
from billing.selectors import wallet_get
from config.errors import IncompatibleStems
from jobs.catalog import stem_offers
from jobs.models import Asset, Ingest, Job
from jobs.separating import format_check
from jobs.services import Order, asset_create
from tests.api.musicgpt.steps import JSON, ROOT, URL, extract, job_of, refused, wav
from tests.makers import make_key, make_workspace

pytestmark = pytest.mark.django_db


def is_available(stem: str) -> bool:
    return next(offer for offer in stem_offers() if offer.name == stem).available


def test_an_upload_is_ordered_at_its_exact_price(client: Client, alice: Any):
    response = extract(client, audio_file=wav(seconds=1), stems='["vocals", "drums"]')
    job = job_of(response)
    body = response.json()
    assert set(body) == {
        *("success", "message", "task_id", "conversion_id"),
        *("eta", "credit_estimate", "status"),
    }
    assert body["success"] is True
    assert (body["message"], body["status"]) == ("Message published to queue", "IN_QUEUE")
    assert type(body["eta"]) is int
    # 2 stems and a second at 13.52 milli-credits each, rounded up once.
    assert body["credit_estimate"] == 0.028
    assert wallet_get(workspace=alice).held_mcr == job.price_mcr == 28
    assert (job.service, job.stems, job.steps) == ("separation", ["vocals", "drums"], [])
    assert (job.tariff, job.dialect) == ("stem_extraction", "musicgpt")
    assert (job.output_format, job.more_formats) == ("wav16", ["mp3"])
    assert job.recording.filename == "song.wav"


@pytest.mark.parametrize(
    "stems",
    [
        '["vocals","bass"]',
        "vocals,bass",
        " vocals , bass ",
        '["Vocals", "BASS", "vocals"]',
        ["vocals", "bass"],
    ],
)
def test_stems_may_come_as_clients_write_them(client: Client, stems: Any):
    assert job_of(extract(client, audio_file=wav(), stems=stems)).stems == ["vocals", "bass"]


def test_it_takes_a_form_and_json(client: Client):
    form = f"audio_url={URL}&stems=%5B%22vocals%22%5D&preprocessing_options=%5B%22Denoise%22%5D"
    of_form = job_of(
        client.post(f"{ROOT}/Extraction", form, content_type="application/x-www-form-urlencoded")
    )
    body = {"audio_url": URL, "stems": ["vocals"], "preprocessing_options": ["denoise"]}
    of_json = job_of(client.post(f"{ROOT}/Extraction", body, content_type=JSON))
    for job in (of_form, of_json):
        assert (job.stems, job.steps, job.state) == (["vocals"], ["denoise"], "waiting")


def test_an_empty_address_beside_a_file_counts_as_none(client: Client):
    response = extract(client, audio_file=wav(), audio_url="", stems='["vocals"]', webhook_url="")
    assert job_of(response).state == "queued"


def test_a_client_calls_the_file_audio(client: Client):
    response = extract(client, audio=wav(name="wild.wav"), stems="vocals,drums")
    assert job_of(response).recording.filename == "wild.wav"


def test_the_address_was_called_a_path_before(client: Client):
    body = {"audio_path": URL, "stems": '["vocals"]'}
    assert job_of(extract(client, **body)).state == "waiting"


def test_of_an_address_the_price_is_unknown_until_it_was_fetched(client: Client, alice: Any):
    response = extract(client, audio_url=URL, stems='["vocals"]')
    job = job_of(response)
    assert (response.json()["eta"], response.json()["credit_estimate"]) == (-1, -1)
    assert response.json()["status"] == "IN_QUEUE"
    assert (job.state, job.price_mcr) == ("waiting", 0)
    assert Ingest.objects.get().url == URL
    assert wallet_get(workspace=alice).held_mcr == 0


def test_without_mp3_for_its_rate_a_recording_becomes_wav_only(client: Client):
    response = extract(client, audio_file=wav(sample_rate=96_000), stems='["vocals"]')
    job = job_of(response)
    assert (job.output_format, job.more_formats) == ("wav16", [])
    with pytest.raises(Exception, match="96000 Hz"):
        format_check("mp3", job.recording)


@pytest.mark.parametrize(("theirs", "ours"), STEMS.items())
def test_every_name_is_made_or_refused_by_name_before_any_charge(
    client: Client, alice: Any, theirs: str, ours: str
):
    response = extract(client, audio_url=URL, stems=json.dumps([theirs]))
    if is_available(ours):
        assert job_of(response).stems == [ours]
    else:
        expected = f"stems: {theirs} is not available on this installation."
        assert refused(response, 422) == expected
        assert not Job.objects.exists()
    assert wallet_get(workspace=alice).held_mcr == 0


@pytest.mark.parametrize("stems", [None, "", "[]"])
def test_without_stems_the_full_band_is_meant(client: Client, stems: str | None):
    fields = {} if stems is None else {"stems": stems}
    response = extract(client, audio_file=wav(), **fields)
    missing = [stem for stem in ("drums", "bass", "piano", "guitar") if not is_available(stem)]
    if missing:
        expected = f"stems: {', '.join(missing)} are not available on this installation."
        assert refused(response, 422) == expected
        # Nothing was kept of the upload either.
        assert not Asset.objects.exists()
    else:
        assert job_of(response).stems == ["drums", "bass", "piano", "guitar"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"stems": '["kazoo"]'}, "stems: There is no 'kazoo'; there are vocals, male_vocal"),
        ({"stems": '["vocals"'}, "stems: Send a JSON list of names"),
        ({"stems": '{"vocals": 1}'}, "stems: There is no '{\"vocals\": 1}'"),
        ({"stems": "[1]"}, "stems: Send a JSON list of names"),
        # Half of a surrogate pair.
        ({"stems": '["\\ud800"]'}, "stems: Send a JSON list of names"),
        ({"stems": "[" * 5000}, "stems: Send a JSON list of names"),
        ({"stems": json.dumps(["vocals"] * 65)}, "stems: Send a JSON list of names"),
        (
            {"stems": '["vocals"]', "preprocessing_options": '["Polish"]'},
            "preprocessing_options: There is no 'Polish'; there are Denoise, Deecho, Dereverb",
        ),
        ({"stems": '["vocals"]', "webhook_url": "ftp://example.org"}, "This address cannot be"),
        ({"stems": '["vocals"]', "webhook_url": "http://10.0.0.1/"}, "This address cannot be"),
        ({"stems": '["vocals"]', "webhook_url": "http://a.org/\0"}, "webhook_url: Null char"),
    ],
)
def test_what_is_wrong_is_refused_by_name(client: Client, fields: dict[str, str], says: str):
    assert refused(extract(client, audio_file=wav(), **fields), 422).startswith(says)
    assert not Job.objects.exists()
    assert not Asset.objects.exclude(state__in=["deleted", "purged"]).exists()


def test_there_must_be_exactly_one_recording(client: Client):
    neither = extract(client, stems='["vocals"]')
    assert refused(neither, 422) == "Both audio_url and audio_file cannot be None."
    both = extract(client, audio_url=URL, audio_file=wav(), stems='["vocals"]')
    assert refused(both, 422) == "Send audio_url or audio_file, not both."
    text = extract(client, audio_file="song", stems='["vocals"]')
    assert refused(text, 422).startswith("audio_file: The submitted data was not a file.")
    for url in ("http://127.0.0.1/a.wav", "nothing", "http://a.org/\0", "x" * 3000):
        refused(extract(client, audio_url=url, stems='["vocals"]'), 422)
    body = {"audio_url": {"a": 1}, "stems": ["vocals"]}
    refused(client.post(f"{ROOT}/Extraction", body, content_type=JSON), 422)
    assert not Job.objects.exists()


def test_stems_that_no_model_makes_together_are_named_as_here(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    def apart(order: Order) -> Any:
        raise IncompatibleStems

    monkeypatch.setattr("api.musicgpt.ordering.order_plan", apart)
    says = refused(extract(client, audio_file=wav(), stems='["vocals", "drums"]'), 422)
    assert says == "stems: These cannot be taken out together here: vocals, drums."


def test_the_same_file_under_the_same_key_is_one_order(client: Client, alice: Any):
    key = {"Idempotency-Key": "once"}
    first = extract(client, headers=key, audio_file=wav(), stems='["vocals"]')
    again = extract(client, headers=key, audio_file=wav(), stems='["vocals"]')
    assert job_of(first) == job_of(again)
    assert (Job.objects.count(), Asset.objects.count()) == (1, 1)
    assert wallet_get(workspace=alice).held_mcr == 14
    # Another order, or another file, is not that one.
    refused(extract(client, headers=key, audio_file=wav(), stems='["bass"]'), 422)
    other = extract(client, headers=key, audio_file=wav(seconds=2), stems='["vocals"]')
    assert "idempotency key" in refused(other, 422)
    assert Job.objects.count() == 1
    assert Asset.objects.filter(state="ready").count() == 1
    # Without a key, the same again is ordered again.
    extract(client, audio_file=wav(), stems='["vocals"]')
    extract(client, audio_file=wav(), stems='["vocals"]')
    assert Job.objects.count() == 3


def test_two_calls_at_once_under_one_key_are_one_order(
    client: Client, alice: Any, monkeypatch: pytest.MonkeyPatch
):
    key = {"Idempotency-Key": "once"}
    replies = []

    def create(**values: Any) -> Asset:
        monkeypatch.setattr(ordering, "asset_create", asset_create)
        # The other call is done while this one still reads its recording.
        replies.append(extract(client, headers=key, audio_file=wav(), stems='["vocals"]'))
        return asset_create(**values)

    monkeypatch.setattr(ordering, "asset_create", create)
    replies.append(extract(client, headers=key, audio_file=wav(), stems='["vocals"]'))
    first, second = map(job_of, replies)
    assert first == second
    assert (Job.objects.count(), Asset.objects.filter(state="ready").count()) == (1, 1)
    assert wallet_get(workspace=alice).held_mcr == 14


def test_the_same_address_under_the_same_key_is_one_order(client: Client):
    key = {"Idempotency-Key": "once"}
    first = extract(client, headers=key, audio_url=URL, stems='["vocals"]')
    again = extract(client, headers=key, audio_url=URL, stems='["vocals"]')
    assert job_of(first) == job_of(again)
    assert (Job.objects.count(), Ingest.objects.count()) == (1, 1)


def test_what_cannot_be_paid_leaves_nothing_behind():
    poor = make_workspace("Poor", credits=1)
    client = Client(headers={"Authorization": make_key(poor)})
    response = extract(client, audio_file=wav(seconds=40), stems='["vocals","drums"]')
    assert refused(response, 402).startswith("This costs 1.082 credits; 1 ")
    assert not Job.objects.exists()
    assert not Asset.objects.filter(state="ready").exists()
    assert wallet_get(workspace=poor).held_mcr == 0
