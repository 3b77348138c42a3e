"""Recordings are decoded by a child process that may use little and reach nothing."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

import separation
from config import errors
from jobs import confined
from jobs.children import ChildEnd, ChildOverflow, ChildOverTime, child_run
from jobs.models import Asset
from jobs.separating import recording_probe
from separation import confined_probe
from tests.fakes.http import Server, says
from tests.jobs import bombs
from tests.makers import make_wav
from tests.separation.media import tones, write_media

ROOT = Path(separation.__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _quick_probes() -> None:
    """Not in this file: here the child is what is tested."""


def probed(content: bytes, folder: Path, **values: Any) -> separation.AudioInfo:
    path = folder / "recording"
    path.write_bytes(content)
    return recording_probe(path, **values)


def child_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_python(code: str, **values: Any) -> ChildEnd:
    values = {"total_s": 60, "max_output_bytes": 10_000, **values}
    return child_run([sys.executable, "-c", code], folder=ROOT, **values)


def test_a_recording_is_what_the_child_says(tmp_path: Path):
    info = probed(make_wav(seconds=0.5), tmp_path)
    assert info == separation.AudioInfo(
        n_samples=22_050,
        sample_rate=44_100,
        channels=2,
        layout="stereo",
        codec="pcm_s16le",
        container="wav",
        bits_per_sample=16,
        is_float=False,
        is_lossy=False,
    )


def test_ten_hours_of_silence_end_at_the_limit(alice_client: Client, stored: Any, tmp_path: Path):
    path = tmp_path / "silence.flac"
    path.write_bytes(bombs.silent_flac(10 * 3600 * 44_100 // 4608))
    assert 5_000_000 < path.stat().st_size < 6_000_000
    before = child_cpu_s()
    with path.open("rb") as file:
        response = alice_client.post("/v1/assets", {"file": file})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "too_long")
    assert error["data"] == {"max_duration_s": 10_800}
    # Decoding all of it would take more than three times as long.
    assert child_cpu_s() - before < 30
    assert (Asset.objects.count(), stored()) == (0, [])


def test_all_channels_count(tmp_path: Path, settings: Any):
    settings.RECORDING_MAX_SAMPLES = 44_100 * 2
    assert probed(make_wav(seconds=1), tmp_path).n_samples == 44_100
    with pytest.raises(errors.TooLong):
        probed(make_wav(seconds=1.1), tmp_path)
    with pytest.raises(errors.TooLong):
        probed(make_wav(seconds=1, channels=4), tmp_path)


@pytest.mark.parametrize("kind", bombs.playlists(""))
def test_a_playlist_is_no_recording_whatever_its_name(tmp_path: Path, kind: str):
    with Server(says("200 OK", body=make_wav(seconds=0.1))).running() as server:
        content = bombs.playlists(server.url)[kind]
        with pytest.raises(errors.UnsupportedMedia):
            probed(content, tmp_path, filename="list.wav")
        path = tmp_path / f"list.{kind}"
        path.write_bytes(content)
        with pytest.raises(errors.UnsupportedMedia):
            recording_probe(path)
    assert server.n_connections == 0


@pytest.mark.parametrize(
    ("content", "n_samples"),
    [
        (bombs.silent_flac(10, claimed=1), 46_080),
        (bombs.silent_flac(10, claimed=2**36 - 1), 46_080),
        (bombs.wav(bytes(4000), claimed=2**32 - 10), 1000),
        (bombs.wav(bytes(4000), claimed=0), 1000),
        (bombs.wav(bytes(4000), claimed=400), 100),
    ],
)
def test_what_a_header_claims_does_not_count(tmp_path: Path, content: bytes, n_samples: int):
    assert probed(content, tmp_path).n_samples == n_samples


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (
            lambda: bombs.wav(bytes(96_000), channels=32, sample_rate=96_000),
            errors.UnsupportedMedia,
        ),
        (lambda: bombs.wav(bytes(96_000), sample_rate=384_000), errors.UnsupportedMedia),
        (lambda: bombs.wav(bytes(96_000), channels=65_535), errors.MediaError),
        (lambda: bombs.id3_bomb(250_000_000), errors.MediaError),
        (lambda: bombs.mp4_tables(2**24), errors.MediaError),
        (lambda: bombs.mp4_tables(2**32 - 1), errors.MediaError),
    ],
)
def test_a_small_file_does_not_become_large(
    tmp_path: Path, content: Callable[[], bytes], error: type[errors.MediaError]
):
    with pytest.raises(error) as caught:
        probed(content(), tmp_path)
    assert caught.value.status == 422


def test_a_rate_that_changes_on_the_way_is_adapted_within_reason(tmp_path: Path):
    """A link of a chained Ogg of a tiny rate would become very long at the rate of the first."""
    links = {}
    for rate in (192_000, 48_000, 4_000):
        path = tmp_path / f"{rate}.ogg"
        links[rate] = write_media(path, tones(rate, 1, rate), rate, codec="flac").read_bytes()
    n_samples = probed(links[192_000] + links[48_000], tmp_path).n_samples
    assert abs(n_samples - 2 * 192_000) < 100
    with pytest.raises(errors.UnsupportedMedia) as caught:
        probed(links[192_000] + links[4_000], tmp_path)
    assert caught.value.text == "The recording's sample rate changes too much on the way."


@pytest.mark.parametrize("content", [bombs.endless_aiff(), bombs.endless_matroska()])
def test_what_makes_no_sense_to_ffmpeg_is_no_fault_of_ours(tmp_path: Path, content: bytes):
    """It takes the one for not permitted, and the other for an input/output error."""
    with pytest.raises(errors.MediaError) as caught:
        probed(content, tmp_path)
    assert caught.value.code == "broken_media"


def test_a_million_tiny_frames_take_too_long(tmp_path: Path, settings: Any):
    settings.PROBE_SECONDS = 1
    started = time.monotonic()
    with pytest.raises(errors.MediaTooSlow) as caught:
        probed(bombs.silent_flac(150_000, block=16), tmp_path)
    assert (caught.value.code, caught.value.status) == ("takes_too_long", 422)
    # The limit and what it takes to end a process; decoding takes longer on any machine.
    assert time.monotonic() - started < 20


def test_too_little_memory(tmp_path: Path, settings: Any):
    settings.PROBE_MEMORY_BYTES = 64 * 1024**2
    with pytest.raises(errors.MediaTooDemanding) as caught:
        probed(make_wav(), tmp_path)
    assert (caught.value.code, caught.value.status) == ("media_too_demanding", 422)


def test_a_name_tells_only_formats_without_a_header_apart(tmp_path: Path):
    # So short that FFmpeg takes it for video as much as for sound.
    path = write_media(
        tmp_path / "short.mp3", tones(1500, 2), codec="libmp3lame", sample_format="fltp"
    )
    raw = path.read_bytes()
    assert probed(raw, tmp_path, filename="short.mp3").codec.startswith("mp3")
    # A name changes nothing for those that have one.
    for name in ("a.mp3", "a.m3u8", "a.aac", "a.txt", ""):
        assert probed(make_wav(seconds=0.1), tmp_path, filename=name).container == "wav"


# --- The child's own end ---


@pytest.mark.parametrize(
    ("returncode", "error"),
    [
        (-signal.SIGXCPU, errors.MediaTooSlow),
        (-signal.SIGSEGV, errors.MediaTooDemanding),
        (-signal.SIGKILL, errors.MediaTooDemanding),
        (1, RuntimeError),
    ],
)
def test_a_child_that_dies(
    tmp_path: Path, monkeypatch: Any, returncode: int, error: type[Exception]
):
    end = ChildEnd(returncode, b"", "Traceback: broken")
    monkeypatch.setattr(confined, "child_run", lambda *args, **values: end)
    with pytest.raises(error):
        probed(make_wav(seconds=0.1), tmp_path)


GOOD = {
    **{"n_samples": 1, "sample_rate": 8000, "channels": 1, "layout": "mono", "codec": "flac"},
    **{"container": "flac", "bits_per_sample": None, "is_float": False, "is_lossy": False},
}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'"text"',
        json.dumps({"info": {}}),
        json.dumps({"info": GOOD | {"n_samples": 0}}),
        json.dumps({"info": GOOD | {"n_samples": -1}}),
        json.dumps({"info": GOOD | {"n_samples": 2**60}}),
        json.dumps({"info": GOOD | {"n_samples": 1.5}}),
        json.dumps({"info": GOOD | {"sample_rate": True}}),
        json.dumps({"info": GOOD | {"sample_rate": 2**31}}),
        json.dumps({"info": GOOD | {"codec": "x" * 100}}),
        json.dumps({"info": GOOD | {"is_float": 1}}),
        json.dumps({"info": GOOD | {"more": 1}}),
        json.dumps({"error": "SystemExit", "message": ""}),
        json.dumps({"error": "annotations", "message": ""}),
        json.dumps({"error": "ModelUnavailable", "message": ""}),
        json.dumps({"error": "BrokenMedia"}),
    ],
)
def test_an_answer_is_not_believed(tmp_path: Path, monkeypatch: Any, answer: Any):
    output = answer if isinstance(answer, bytes) else answer.encode()
    monkeypatch.setattr(confined, "child_run", lambda *args, **values: ChildEnd(0, output, ""))
    with pytest.raises(errors.MediaTooDemanding):
        probed(make_wav(seconds=0.1), tmp_path)


def test_a_right_answer_is(tmp_path: Path, monkeypatch: Any):
    output = json.dumps({"info": GOOD}).encode()
    monkeypatch.setattr(confined, "child_run", lambda *args, **values: ChildEnd(0, output, ""))
    assert probed(b"x", tmp_path) == separation.AudioInfo(**GOOD)  # type: ignore[arg-type]


CONFINED = """
import os, socket, sys
from separation.confined_probe import confine, leave_network
confine(memory_bytes=2 << 30, cpu_s=10, parent=os.getppid())
leave_network()
print("torch" in sys.modules, "django" in sys.modules)
print(sorted(set(os.environ) - {"LC_CTYPE"}))
print(os.getsid(0) == os.getpid())
for attempt in (
    lambda: socket.create_connection(("127.0.0.1", %d), 1),
    lambda: os.write(os.open(%r, os.O_WRONLY | os.O_CREAT), b"x"),
    lambda: [os.open("/dev/null", os.O_RDONLY) for _ in range(32)],
    lambda: bytearray(3 << 30),
):
    try:
        attempt()
        print("done")
    except (OSError, MemoryError) as error:
        print(type(error).__name__, getattr(error, "errno", ""))
"""


def test_a_confined_process_has_and_reaches_nothing(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setenv("SECRET_KEY", "secret")
    with Server(says("200 OK")).running() as server:
        # A full file is an error instead of a signal to a process that says so.
        code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
        end = run_python(code + CONFINED % (server.port, str(tmp_path / "file")))
    assert (end.returncode, end.complaints) == (0, "")
    loaded, variables, is_own_session, network, *refusals = end.output.decode().splitlines()
    assert (loaded, variables, is_own_session) == ("False False", "['LANG', 'PATH']", "True")
    assert refusals == [
        "OSError 27",  # too large
        "OSError 24",  # too many files
        "MemoryError ",
    ]
    if subprocess.run(["unshare", "-rn", "true"], check=False).returncode == 0:
        assert network == "OSError 101"  # unreachable
        assert server.n_connections == 0


def test_a_process_whose_parent_is_gone_ends(tmp_path: Path):
    code = "from separation.confined_probe import confine\n"
    code += "confine(memory_bytes=2 << 30, cpu_s=10, parent=1 << 22)\nprint('on')"
    assert run_python(code).output == b""


def test_a_child_has_limits():
    with pytest.raises(ChildOverTime):
        run_python("import time; time.sleep(60)", total_s=0.2)
    with pytest.raises(ChildOverflow):
        run_python("print('x' * 10_001)")
    end = run_python("import sys; sys.stderr.write('x' * 10**6); print('y'); sys.exit(3)")
    assert (end.returncode, end.output, end.complaints) == (3, b"y\n", "x" * 8192)


def test_a_child_ends_with_all_that_it_started(tmp_path: Path):
    code = "import subprocess, sys, time\n"
    code += "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    code += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid))\ntime.sleep(60)"

    def stop() -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise KeyError("enough")

    with pytest.raises(KeyError):
        run_python(code, on_tick=stop)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # A zombie waits for whoever adopted it.
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_the_child_starts_without_the_engines():
    code = f"import sys, {confined_probe.__name__}\nprint('torch' in sys.modules)"
    assert run_python(code).output == b"False\n"
