"""What there is besides Extraction: each its own order, at the price of its service."""

from typing import Any

import pytest
from django.test import Client

from config.errors import AppError, ModelUnavailable
from jobs.models import Asset, Job
from jobs.separating import steps_check, tool_plan
from tests.api.musicgpt.steps import URL, job_of, refused, send, wav

pytestmark = pytest.mark.django_db


def works(check: Any, *arguments: Any, **options: Any) -> bool:
    try:
        check(*arguments, **options)
    except AppError:
        return False
    return True


@pytest.mark.parametrize(
    ("conversion", "type", "step"),
    [
        ("denoise", "DENOISING", "denoise"),
        ("deecho", "DEECHO", "deecho"),
        ("dereverb", "DEREVERB", "dereverb"),
    ],
)
def test_a_step_is_an_order_where_it_can_be_done(
    client: Client, conversion: str, type: str, step: str
):
    response = send(client, conversion, audio_file=wav(seconds=2))
    if not works(steps_check, [step]):
        says = f"{step.title()} is not available on this installation."
        assert refused(response, 422) == says
        assert not Asset.objects.exists()
        return
    job = job_of(response)
    assert (job.service, job.steps, job.stems) == ("enhancement", [step], [])
    assert job.dialect_data == {"conversion_type": type}
    assert (job.output_format, job.more_formats) == ("wav16", ["mp3"])
    # A credit a second.
    assert response.json()["credit_estimate"] == 2


def test_a_step_that_nothing_here_does_is_refused_by_name(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    def never(steps: Any) -> None:
        raise ModelUnavailable

    monkeypatch.setattr("jobs.orders.steps_check", never)
    monkeypatch.setattr("api.musicgpt.ordering.steps_check", never)
    says = refused(send(client, "dereverb", audio_file=wav()), 422)
    assert says == "Dereverb is not available on this installation."
    options = {"stems": '["vocals"]', "preprocessing_options": '["Denoise", "Dereverb"]'}
    says = refused(send(client, "Extraction", audio_file=wav(), **options), 422)
    assert says == (
        "preprocessing_options: Denoise, Dereverb are not available on this installation."
    )
    assert not Asset.objects.exists()


def test_key_and_tempo_are_an_analysis(client: Client):
    response = send(client, "extract_key_bpm", audio_file=wav(seconds=2))
    job = job_of(response)
    assert (job.service, job.dialect_data) == (
        "analysis",
        {"conversion_type": "KEY_BPM_EXTRACTION"},
    )
    assert response.json()["credit_estimate"] == 0.2


def test_midi_is_a_transcription(client: Client):
    fields = {"sonify_midi": "true", "save_note_events": "false"}
    response = send(client, "audio_to_midi", audio_file=wav(seconds=2), **fields)
    if not works(tool_plan, task="transcription", model=None):
        refused(response, 422)
        return
    job = job_of(response)
    assert (job.service, job.dialect_data) == (
        "transcription",
        {"conversion_type": "AUDIO_TO_MIDI"},
    )
    assert response.json()["credit_estimate"] == 1


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({"target_format": "mp3"}, "mp3"),
        ({"target_format": "mp3", "target_bit_depth": "16", "target_sr": "44100"}, "mp3"),
        ({"target_format": "wav"}, "wav16"),
        ({"target_format": "wav", "target_bit_depth": "32"}, "wav32f"),
        ({"target_format": "flac", "target_bit_depth": "24"}, "flac24"),
    ],
)
def test_a_recording_is_written_in_another_format(
    client: Client, fields: dict[str, str], form: str
):
    job = job_of(send(client, "file_convert", audio_file=wav(), **fields))
    assert (job.service, job.output_format, job.more_formats) == ("conversion", form, [])
    assert job.dialect_data == {"conversion_type": "FILE_CONVERT"}
    assert job.price_mcr == 50


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "target_format: This field is required."),
        ({"target_format": "ogg"}, "target_format: 'ogg' is not written here"),
        ({"target_format": "doc"}, 'target_format: "doc" is not a valid choice.'),
        (
            {"target_format": "flac", "target_bit_depth": "32"},
            "target_bit_depth: flac has no 32 bits here.",
        ),
        ({"target_format": "wav", "target_bit_depth": "8"}, "target_bit_depth: "),
        (
            {"target_format": "wav", "target_sr": "48000"},
            "target_sr: The recording has 44100 Hz, which are kept; rates do not change.",
        ),
        ({"target_format": "wav", "target_sr": "9" * 5000}, "target_sr: "),
    ],
)
def test_formats_that_are_not_made_are_refused_by_name(
    client: Client, fields: dict[str, str], says: str
):
    assert refused(send(client, "file_convert", audio_file=wav(), **fields), 422).startswith(says)
    assert not Job.objects.exists()
    assert not Asset.objects.filter(state="ready").exists()


def test_the_rate_of_what_lies_elsewhere_cannot_be_asked_for(client: Client):
    fields = {"audio_url": URL, "target_format": "wav", "target_sr": "44100"}
    assert refused(send(client, "file_convert", **fields), 422).startswith(
        "target_sr: Leave it out"
    )


def test_a_part_is_cut_to_the_sample(client: Client):
    fields = {"start_time": "250", "end_time": "750.5", "output_extension": "wav"}
    response = send(client, "audio_cutter", audio_file=wav(), **fields)
    job = job_of(response)
    assert (job.range_start, job.range_end) == (11_025, 33_097)
    assert (job.service, job.output_format) == ("conversion", "wav16")
    assert job.dialect_data == {"conversion_type": "AUDIO_CUTTER"}
    # Only what is kept is paid.
    assert job.price_mcr == 26


def test_a_cut_is_mp3_unless_told_otherwise(client: Client):
    job = job_of(send(client, "audio_cutter", audio_url=URL, start_time="0", end_time="50"))
    assert (job.output_format, job.state) == ("mp3", "waiting")


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (None, "100", "start_time: This field is required."),
        ("0", None, "end_time: This field is required."),
        ("500", "500", "end_time: It must lie after start_time."),
        ("-1", "500", "start_time: "),
        ("nan", "500", "start_time: A valid number is required."),
        ("0", "inf", "end_time: A valid number is required."),
        ("0", "1e999", "end_time: A valid number is required."),
        ("5000", "6000", "The range holds nothing of the recording."),
    ],
)
def test_a_part_must_lie_in_the_recording(
    client: Client, start: str | None, end: str | None, says: str
):
    given = {"start_time": start, "end_time": end}
    fields = {name: text for name, text in given.items() if text is not None}
    assert refused(send(client, "audio_cutter", audio_file=wav(), **fields), 422).startswith(says)
    assert not Job.objects.exists()


@pytest.mark.parametrize("conversion", ["MusicAI", "TextToSpeech", "audio_mastering", "extraction"])
def test_what_is_not_made_here_is_told(client: Client, conversion: str):
    says = refused(send(client, conversion, audio_file=wav()), 404)
    assert says.startswith(f"{conversion} is not offered here; Extraction, denoise, ")
