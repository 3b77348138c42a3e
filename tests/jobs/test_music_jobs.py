"""Jobs that find tempo, key and notes, from the order to the end, with the real models."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile

from billing.selectors import ledger_discrepancies, wallet_get
from config.errors import ModelUnavailable, UnknownModel
from jobs import engine
from jobs.engine import EngineLost, EngineProcess
from jobs.heartbeat import Heartbeat
from jobs.models import Asset, Job
from jobs.services import Order, asset_create, job_cancel, job_create
from jobs.storage import storage_open
from jobs.work import analysis, transcription
from separation import catalog
from separation.catalog import AvailabilityStatus
from separation.music import Note, Transcription, analyse, transcribe
from tests.makers import make_asset, make_grant, run_jobs
from tests.separation.music.sounds import RATE, clicks, played

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats")]

Stored = Callable[[], list[str]]
TUNE = [(60, 0.25, 0.9), (64, 1.25, 1.9), (67, 2.25, 2.9), (65, 3.25, 3.9), (60, 4.25, 5.5)]
SECONDS = 6


@pytest.fixture(autouse=True)
def _no_pauses(settings: Any) -> None:
    settings.JOB_RETRY_PAUSE_SECONDS = 0


@pytest.fixture
def own_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProcess]:
    process = EngineProcess()
    monkeypatch.setattr(engine, "_resident", process)
    yield process
    process.close()


def song() -> Any:
    return played(TUNE, SECONDS) + 0.5 * clicks(np.arange(0.25, SECONDS, 0.5), SECONDS)


@pytest.fixture
def asset(alice: Any, tmp_path: Path) -> Asset:
    make_grant(alice, 900_000)
    path = tmp_path / "song.wav"
    soundfile.write(path, song(), RATE, "PCM_16")
    return asset_create(workspace=alice, filename="My song.wav", path=path)


def ordered(asset: Asset, service: str, **values: Any) -> Job:
    order = Order(asset_uuid=asset.uuid, service=service, **values)
    return job_create(workspace=asset.workspace, api_key=None, order=order)


def done(job: Job) -> Job:
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.error_code, job.attempt) == ("succeeded", "", 1)
    wallet = wallet_get(workspace=job.workspace)
    assert (wallet.posted_mcr, wallet.held_mcr) == (1_000_000 - job.price_mcr, 0)
    assert job.charged_mcr == job.price_mcr > 0
    assert ledger_discrepancies() == []
    return job


def midi_notes(asset: Asset) -> list[int]:
    with storage_open(key=asset.storage_key) as handle:
        song = mido.MidiFile(file=io.BytesIO(handle.read()))
    return [message.note for message in song if message.type == "note_on"]


def test_an_analysis_says_tempo_and_key(asset: Asset, own_engine: EngineProcess, stored: Stored):
    job = done(ordered(asset, "analysis"))
    with storage_open(key=asset.storage_key) as handle:
        direct = analyse(handle.name).to_json()
    assert job.result == {"tempo": direct["tempo"], "key": direct["key"]}
    assert job.result["tempo"]["bpm"] == pytest.approx(120, rel=0.01)
    assert (job.result["key"]["tonic"], job.result["key"]["scale"]) == ("C", "major")
    assert job.stem_assets.count() == 0
    assert stored() == [f"uploads/{asset.uuid}"]


def test_a_transcription_makes_a_file_and_a_list(
    asset: Asset, own_engine: EngineProcess, stored: Stored
):
    job = done(ordered(asset, "transcription"))
    output = job.stem_assets.get()
    assert (output.kind, output.stem, output.form) == ("notes", "", "midi")
    assert (output.codec, output.container, output.filename) == ("midi", "midi", "My song.mid")
    assert (output.sample_rate, output.n_samples, output.channels) == (RATE, SECONDS * RATE, 1)
    assert (output.bits_per_sample, output.is_float, output.is_lossy) == (None, False, False)
    assert stored() == [f"jobs/{job.uuid}/1/notes.mid", f"uploads/{asset.uuid}"]
    (instrument,) = job.result["instruments"]
    assert instrument["name"] == "Acoustic Grand Piano"
    assert job.result["notes"] == len(instrument["notes"]) == len(midi_notes(output))
    pitches = [note["pitch"] for note in instrument["notes"]]
    assert midi_notes(output) == pitches
    for pitch, start_s, _ in TUNE:
        near = [n for n in instrument["notes"] if abs(n["start"] - start_s) < 0.05]
        assert pitch in [note["pitch"] for note in near]
    assert set(instrument["notes"][0]) == {"pitch", "start", "end", "velocity"}


def test_of_a_range_only_its_notes_are_found(asset: Asset, own_engine: EngineProcess):
    job = done(ordered(asset, "transcription", range_s=(2.0, 4.0)))
    output = job.stem_assets.get()
    assert output.n_samples == 2 * RATE
    (instrument,) = job.result["instruments"]
    # Its times begin with the range.
    for pitch, start_s in ((67, 0.25), (65, 1.25)):
        near = [n for n in instrument["notes"] if abs(n["start"] - start_s) < 0.05]
        assert pitch in [note["pitch"] for note in near]
    assert 60 not in [note["pitch"] for note in instrument["notes"]]


@pytest.mark.parametrize("service", ["analysis", "transcription"])
def test_silence_is_no_error(alice: Any, tmp_path: Path, service: str, own_engine: EngineProcess):
    make_grant(alice, 900_000)
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    path = tmp_path / "silence.wav"
    silence = asset_create(workspace=alice, filename="silence.wav", path=path)
    job = done(ordered(silence, service))
    if service == "transcription":
        assert job.result == {"notes": 0, "instruments": []}
        assert midi_notes(job.stem_assets.get()) == []
    else:
        empty_tempo: dict[str, Any] = {"bpm": None, "min_bpm": None, "max_bpm": None, "beats_s": []}
        empty_key = {"tonic": None, "scale": None, "camelot": None}
        assert job.result == {
            "tempo": {**empty_tempo, "confidence": 0},
            "key": {**empty_key, "confidence": 0},
        }


@pytest.mark.parametrize(
    ("service", "missing"),
    [("analysis", "beatnet"), ("analysis", "basic-pitch"), ("transcription", "basic-pitch")],
)
def test_what_is_not_installed_is_refused_before_anything_is_held(
    asset: Asset, monkeypatch: pytest.MonkeyPatch, service: str, missing: str
):
    real = catalog.availability

    def availability(package: catalog.Package) -> catalog.Availability:
        if package.name == missing:
            return catalog.Availability(AvailabilityStatus.FETCHABLE, "It is not installed.")
        return real(package)

    monkeypatch.setattr(catalog, "availability", availability)
    with pytest.raises(ModelUnavailable, match=missing):
        ordered(asset, service)
    assert not Job.objects.exists()
    assert wallet_get(workspace=asset.workspace).held_mcr == 0


def test_a_job_says_what_does_it(asset: Asset):
    assert ordered(asset, "analysis").model == "beatnet+basic-pitch"
    assert ordered(asset, "transcription", model="basic-pitch").model == "basic-pitch"
    with pytest.raises(UnknownModel):
        ordered(asset, "transcription", model="beatnet")


def listening(work: Any) -> Callable[..., Any]:
    """The library's function in the place of the engine's, without a process of its own."""

    def listen(*, recording: Path, watch: Any, on_progress: Any, **options: Any) -> Any:
        output = [options.pop("output")] if "output" in options else []
        watch()
        return work(recording, *output, on_progress=on_progress, **options)

    return listen


@pytest.fixture
def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "engine_analyse", listening(analyse))
    monkeypatch.setattr(transcription, "engine_transcribe", listening(transcribe))


@pytest.mark.usefixtures("_in_process")
@pytest.mark.parametrize(
    ("service", "step"), [("analysis", "analyse"), ("transcription", "transcribe")]
)
def test_progress_grows_to_the_end(
    asset: Asset, monkeypatch: pytest.MonkeyPatch, service: str, step: str
):
    told: list[tuple[str, float]] = []
    monkeypatch.setattr(
        Heartbeat, "report", lambda self, progress, *, step="": told.append((step, progress))
    )
    done(ordered(asset, service))
    assert list(dict.fromkeys(name for name, _ in told)) == ["load", step]
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert len(shares) > 4


def test_more_notes_than_are_listed_are_in_the_file_only(
    asset: Asset, monkeypatch: pytest.MonkeyPatch
):
    notes = tuple(Note(60 + n % 12, n / 10, n / 10 + 0.1, 64) for n in range(7))
    monkeypatch.setattr(transcription, "LISTED_NOTES", 3)
    asked: list[int] = []

    def listen(*, output: Path, max_notes: int, **_: Any) -> Transcription:
        asked.append(max_notes)
        output.write_bytes(b"MThd")
        return Transcription(notes[:max_notes], len(notes), "Piano", output, "x", 0.1)

    monkeypatch.setattr(transcription, "engine_transcribe", listen)
    job = done(ordered(asset, "transcription"))
    assert asked == [3]
    assert job.result["notes"] == 7
    assert job.result["instruments"] == [
        {
            "name": "Piano",
            "notes": [
                {"pitch": 60, "start": 0.0, "end": 0.1, "velocity": 64},
                {"pitch": 61, "start": 0.1, "end": 0.2, "velocity": 64},
                {"pitch": 62, "start": 0.2, "end": pytest.approx(0.3), "velocity": 64},
            ],
        }
    ]


@pytest.mark.parametrize("service", ["analysis", "transcription"])
def test_a_lost_attempt_begins_anew(asset: Asset, monkeypatch: pytest.MonkeyPatch, service: str):
    lost = [EngineLost(-9)]

    def losing(work: Any) -> Any:
        def listen(**call: Any) -> Any:
            if lost:
                raise lost.pop()
            return listening(work)(**call)

        return listen

    monkeypatch.setattr(analysis, "engine_analyse", losing(analyse))
    monkeypatch.setattr(transcription, "engine_transcribe", losing(transcribe))
    job = ordered(asset, service)
    assert run_jobs() == 2
    job.refresh_from_db()
    assert (job.state, job.attempt, job.losses) == ("succeeded", 2, 1)
    assert job.stem_assets.count() == (service == "transcription")


@pytest.mark.usefixtures("_in_process")
def test_a_cancel_leaves_nothing_and_costs_nothing(
    asset: Asset, monkeypatch: pytest.MonkeyPatch, stored: Stored
):
    job = ordered(asset, "transcription")

    def cancelling(**call: Any) -> Any:
        job_cancel(workspace=job.workspace, job_uuid=job.uuid)
        return listening(transcribe)(**call)

    monkeypatch.setattr(transcription, "engine_transcribe", cancelling)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.result) == ("cancelled", {})
    assert job.stem_assets.count() == 0
    wallet = wallet_get(workspace=job.workspace)
    assert (wallet.posted_mcr, wallet.held_mcr) == (1_000_000, 0)


@pytest.mark.usefixtures("_in_process")
def test_a_tone_of_the_maker_is_a_recording_too(alice: Any, tmp_path: Path):
    make_grant(alice, 900_000)
    job = done(ordered(make_asset(alice, tmp_path), "analysis"))
    assert job.result["tempo"]["bpm"] is None
