import ipaddress
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import soundfile
from django.db import connection
from django.test import Client

import separation
from config import health
from jobs import separating
from jobs.heartbeat import Heartbeat
from separation.speakers import Timeline, Turn, diarization
from tests import pristine
from tests.fakes.engine import separate_here, speakers_here
from tests.fakes.http import Server, says
from tests.fakes.stripe import FakeStripe, Sender
from tests.makers import make_key, make_tone, make_wav, make_workspace

# Fixtures `s3_server` and `bucket`.
pytest_plugins = ["tests.servers.plugin"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    # The transaction around a test waits for whatever the test does, on a busy machine too.
    connection.settings_dict["OPTIONS"]["options"] = ""
    with django_db_blocker.unblock():
        connection.close()
        pristine.keep()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = terminalreporter.stats.get("skipped", ())
    n_pages = sum("tests/browser/" in report.nodeid for report in skipped)
    if n_pages:
        terminalreporter.section("NOT TRIED IN A BROWSER", sep="!", red=True, bold=True)
        terminalreporter.line(f"There is no Chromium: {n_pages} tests of pages were skipped.")
        terminalreporter.line("`scripts/chromium` gets one.")


@pytest.fixture(autouse=True)
def media_dir(tmp_path: Path, settings: Any) -> Path:
    """Files of a test go where they vanish with it."""
    folder = tmp_path / "media"
    folder.mkdir()
    settings.MEDIA_ROOT = folder
    settings.SCRATCH_DIR = tmp_path / "scratch"
    # The manifest is made by collectstatic, which tests do not need.
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": plain}}
    # Otherwise each test's client reads all static files before its first call.
    settings.WHITENOISE_AUTOREFRESH = True
    return folder


@pytest.fixture(autouse=True)
def _probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes look anew in each test, and wait for machines that are busy with tests."""
    monkeypatch.setattr("config.health._LIMIT_S", 60.0)
    for check in health._CHECKS:
        monkeypatch.setattr(check, "_run", None)


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """The real hash takes half a second, by intent."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _fresh_estimates(settings: Any) -> None:
    """A test has a queue of its own."""
    settings.ETA_LOOK_SECONDS = 0


@pytest.fixture(autouse=True)
def _quick_probes(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """A process for each recording takes a quarter of a second; tests/jobs/test_probing.py does."""

    def probe(path: Path, *, guess: str | None, on_tick: Any) -> separation.AudioInfo:
        limits = separation.AudioLimits(
            max_duration_s=settings.RECORDING_MAX_SECONDS,
            max_samples=settings.RECORDING_MAX_SAMPLES,
        )
        return separation.probe(path, guess=guess, limits=limits)

    monkeypatch.setattr(separating, "probe_confined", probe)


@pytest.fixture
def stored(media_dir: Path) -> Callable[[], list[str]]:
    """What storage holds now."""
    return lambda: sorted(
        str(path.relative_to(media_dir)) for path in media_dir.rglob("*") if path.is_file()
    )


@pytest.fixture
def alice(db: None) -> Any:
    return make_workspace("Alice's", credits=100)


@pytest.fixture
def charlie(db: None) -> Any:
    """A stranger with a workspace of his own."""
    return make_workspace("Charlie's", credits=100)


@pytest.fixture
def alice_client(alice: Any) -> Client:
    return Client(headers={"X-API-Key": make_key(alice)})


@pytest.fixture
def charlie_client(charlie: Any) -> Client:
    return Client(headers={"X-API-Key": make_key(charlie)})


@pytest.fixture
def fake_separation(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A deterministic engine without weights, at the library's boundary; returns its calls."""
    calls: list[dict[str, Any]] = []

    def separate(
        input: Path, output_dir: str, *, stems: Sequence[str], on_progress: Any, **options: Any
    ) -> separation.SeparationResult:
        info = options["info"]
        calls.append({"input": input, "stems": stems, **options})
        on_progress(step="separate", completed=info.n_samples // 2, total=info.n_samples)
        tone = make_tone(seconds=info.duration_s, sample_rate=info.sample_rate)

        def written(suffix: str) -> dict[str, Path]:
            paths = {stem: Path(output_dir) / f"{stem}{suffix}" for stem in stems}
            for path in paths.values():
                soundfile.write(path, tone, info.sample_rate, subtype="PCM_16", format="WAV")
            return paths

        paths = written(".wav")
        on_progress(step="separate", completed=info.n_samples, total=info.n_samples)
        return separation.SeparationResult(
            stems=paths,
            sample_rate=info.sample_rate,
            n_samples=info.n_samples,
            channels=info.channels,
            model=options["model"],
            seconds=0.0,
            clipped_samples=dict.fromkeys(stems, 0),
            more_stems={form: written(f".{form}.wav") for form in options.get("more_formats", ())},
        )

    monkeypatch.setattr(separation, "separate", separate)
    monkeypatch.setattr("jobs.work.separation.engine_separate", separate_here)
    return calls


@pytest.fixture
def fake_diarization(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Finds three speakers in whatever it is given, the real tracks are made of them.

    SPEAKER_0 speaks for two fifths, SPEAKER_1 from then on and at the end, SPEAKER_2 in between;
    the first two at once for a twentieth. Returns its calls.
    """
    calls: list[dict[str, Any]] = []

    def diarize(input: Path, *, on_progress: Any, **options: Any) -> Timeline:
        calls.append({"input": input, **options})
        for step in ("load", "listen", "cluster"):
            on_progress(step=step, completed=1, total=1)
        duration_s = options["info"].duration_s
        turns = [
            ("SPEAKER_0", 0, 0.4, 0.9),
            ("SPEAKER_1", 0.35, 0.6, 0.8),
            ("SPEAKER_2", 0.6, 0.8, 0.7),
            ("SPEAKER_1", 0.8, 0.9, 0.6),
        ]
        return Timeline(
            tuple(
                Turn(round(start * duration_s, 3), round(end * duration_s, 3), speaker, confidence)
                for speaker, start, end, confidence in turns
            ),
            duration_s,
        )

    monkeypatch.setattr(diarization, "diarize", diarize)
    monkeypatch.setattr("jobs.work.speakers.engine_speakers", speakers_here)
    return calls


@pytest.fixture
def fake_stripe(settings: Any) -> Iterator[FakeStripe]:
    """A Stripe of this test's own, and a service that uses it."""
    stripe = FakeStripe()
    stripe.start()
    settings.STRIPE_SECRET_KEY = stripe.secret_key
    settings.STRIPE_API_BASE = stripe.url
    settings.STRIPE_WEBHOOK_SECRETS = [stripe.webhook_secret]
    yield stripe
    stripe.stop()


@pytest.fixture
def stripe_sender(fake_stripe: FakeStripe) -> Sender:
    """Sends events to the service's webhook."""

    def post(body: bytes, signature: str) -> int:
        client = Client(headers={"Stripe-Signature": signature})
        return client.post("/stripe/webhook", body, content_type="application/json").status_code

    return Sender(post, secret=fake_stripe.webhook_secret)


@pytest.fixture
def no_beats(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heartbeat has a connection of its own, which sees nothing of a test's transaction."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None or not marker.kwargs.get("transaction"):
        monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)


@pytest.fixture
def media_server(settings: Any) -> Iterator[Server]:
    """Gives out a short recording, and may be reached."""
    with Server(says("200 OK", body=make_wav(seconds=0.2))).running() as server:
        settings.OUTBOUND_PORTS = [server.port]
        settings.OUTBOUND_ALLOW = [ipaddress.ip_network("127.0.0.0/8")]
        yield server
