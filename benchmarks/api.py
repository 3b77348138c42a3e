"""What a call costs and how long it takes: `python -m benchmarks.api [--seconds N]`.

The real web server and its database, on this machine, in a database that is made for it and
dropped afterwards. CPU is that of all processes of both together, per call, one call at a time: the
median of rounds that take turns. `/livez`, which asks nobody for anything, shows what the server
itself takes, and how fast the machine is at the moment: the ratios to it say more than the
milliseconds.

Then calls come at a fixed rate, however slow the answers are, one in ten of them an order; times
count from the moment at which a call was due.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import django
import httpx
import psutil

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("STEMWRIGHT_LOG_LEVEL", "WARNING")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models.functions import Now  # noqa: E402

from accounts.api_keys import api_key_create  # noqa: E402
from accounts.audit import OPERATOR  # noqa: E402
from accounts.models import Workspace  # noqa: E402
from billing.ledger import credits_grant, hold_release  # noqa: E402
from jobs.models import Asset, AssetState, Job, JobState  # noqa: E402
from jobs.services import Order, asset_create, job_create  # noqa: E402

_HOST = "127.0.0.1"
_STEMS = ("vocals", "drums", "bass", "other")
_WARM_UP = 200
_READS, _ORDERS = 500, 250
_ROUNDS = 5
_RATE = 100
_ORDER_EVERY = 10
_READY_S = 60
# Goals, in milliseconds.
_READ_CPU, _ORDER_CPU, _P99 = 3, 8, 250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="of calls at a fixed rate")
    seconds = parser.parse_args().seconds
    connection.settings_dict["TEST"]["NAME"] = f"bench_api_{os.getpid()}"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            settings.MEDIA_ROOT = Path(folder) / "media"
            key, asset, job = _world(Path(folder))
            with _server(Path(folder)) as (url, server):
                row = _measure(url, key, asset, job, server, seconds)
    finally:
        connection.creation.destroy_test_db("", verbosity=0)
    folder_out = settings.BASE_DIR / "var" / "bench"
    folder_out.mkdir(parents=True, exist_ok=True)
    (folder_out / "api.json").write_text(json.dumps(row, indent=2))
    sys.stdout.write(json.dumps(row) + "\n")


def _measure(
    url: str, key: str, asset: Asset, job: Job, server: psutil.Process, seconds: int
) -> dict[str, float]:
    def read(client: httpx.Client) -> httpx.Response:
        return client.get(f"{url}/v1/jobs/{job.uuid}")

    def order(client: httpx.Client) -> httpx.Response:
        body = {"asset": str(asset.uuid), "stems": ["vocals"]}
        return client.post(f"{url}/v1/jobs", json=body, headers={"Idempotency-Key": str(uuid4())})

    def live(client: httpx.Client) -> httpx.Response:
        return client.get(f"{url}/livez")

    with httpx.Client(headers={"X-API-Key": key}, timeout=60) as client:
        for call in (live, read, order):
            _calls(client, call, _WARM_UP)
        rounds = [
            (
                _cpu_ms(client, live, _READS, server),
                _cpu_ms(client, read, _READS, server),
                _cpu_ms(client, order, _ORDERS, server),
            )
            for _ in range(_ROUNDS)
        ]
    live_ms, read_ms, order_ms = (list(column) for column in zip(*rounds, strict=True))
    row = {
        "live_cpu_ms": statistics.median(live_ms),
        "read_cpu_ms": statistics.median(read_ms),
        "read_cpu_ms_least": min(read_ms),
        "read_to_live": _ratio(read_ms, live_ms),
        "order_cpu_ms": statistics.median(order_ms),
        "order_cpu_ms_least": min(order_ms),
        "order_to_live": _ratio(order_ms, live_ms),
    }
    row |= _load(key, read, order, seconds)
    row |= {"goal_read_cpu_ms": _READ_CPU, "goal_order_cpu_ms": _ORDER_CPU, "goal_p99_ms": _P99}
    return row


def _ratio(these: list[float], those: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(these, those, strict=True)), 2)


def _calls(
    client: httpx.Client, call: Callable[[httpx.Client], httpx.Response], count: int
) -> None:
    for _ in range(count):
        call(client).raise_for_status()


def _cpu_ms(
    client: httpx.Client,
    call: Callable[[httpx.Client], httpx.Response],
    count: int,
    server: psutil.Process,
) -> float:
    before = _cpu_s(server)
    _calls(client, call, count)
    return round(1000 * (_cpu_s(server) - before) / count, 2)


def _cpu_s(server: psutil.Process) -> float:
    """CPU seconds that the web server and the database have taken so far, in all processes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        database = psutil.Process(cursor.fetchone()[0]).parent()
    if database is None:
        raise RuntimeError("the database does not run on this machine")
    total = 0.0
    for root in (server, database):
        times = root.cpu_times()
        # Of children that have ended already, too.
        total += times.user + times.system + times.children_user + times.children_system
        for child in root.children(recursive=True):
            times = child.cpu_times()
            total += times.user + times.system
    return total


def _load(
    key: str,
    read: Callable[[httpx.Client], httpx.Response],
    order: Callable[[httpx.Client], httpx.Response],
    seconds: int,
) -> dict[str, float]:
    local = threading.local()
    start = time.monotonic() + 0.5

    def one(number: int) -> tuple[float, bool]:
        if not hasattr(local, "client"):
            local.client = httpx.Client(headers={"X-API-Key": key}, timeout=60)
        due = start + number / _RATE
        time.sleep(max(0.0, due - time.monotonic()))
        answer = (order if number % _ORDER_EVERY == 0 else read)(local.client)
        return time.monotonic() - due, answer.is_success

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(one, range(seconds * _RATE)))
    times_ms = sorted(1000 * time_s for time_s, _ in answers)
    return {
        "calls_per_second": _RATE,
        "calls": len(answers),
        "failed": sum(not is_success for _, is_success in answers),
        "p50_ms": round(statistics.median(times_ms), 1),
        "p99_ms": round(times_ms[int(0.99 * (len(times_ms) - 1))], 1),
        "max_ms": round(times_ms[-1], 1),
    }


def _world(folder: Path) -> tuple[str, Asset, Job]:
    """A workspace with credits, and a job that has made four stems."""
    workspace = Workspace.objects.create(name="Bench")
    credits_grant(workspace=workspace, amount_mcr=10**12, source="bench", idempotency_key="bench")
    path = folder / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 44_100, 0, "NONE", ""))
        file.writeframes(bytes(2 * 44_100))
    asset = asset_create(workspace=workspace, filename=path.name, path=path)
    job = job_create(workspace=workspace, api_key=None, order=Order(asset.uuid, stems=_STEMS))
    Job.objects.filter(pk=job.pk).update(state=JobState.SUCCEEDED, finished_at=Now())
    hold_release(job_uuid=job.uuid)
    for stem in _STEMS:
        asset_values = {
            field.name: getattr(asset, field.name)
            for field in Asset._meta.concrete_fields
            if field.name not in ("id", "uuid", "job", "stem", "storage_key", "created_at")
        }
        Asset.objects.create(
            **asset_values | {"state": AssetState.READY},
            job=job,
            stem=stem,
            storage_key=f"bench/{stem}",
        )
    _, key = api_key_create(workspace=workspace, name="bench", actor=OPERATOR)
    return key, asset, job


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    with socket.create_server((_HOST, 0)) as found:
        port = found.getsockname()[1]
    database = connection.settings_dict
    address = f"{quote(database['HOST'], safe='')}:{database['PORT']}/{database['NAME']}"
    user = quote(database["USER"], safe="")
    if database["PASSWORD"]:
        user += ":" + quote(database["PASSWORD"], safe="")
    environ = {
        **os.environ,
        "DATABASE_URL": f"postgresql://{user}@{address}",
        "STEMWRIGHT_MEDIA_DIR": str(folder / "media"),
        # Else all but the first hundred calls would be refused.
        "STEMWRIGHT_RATE_LIMIT_PER_MINUTE": "0",
    }
    command = ["-m", "gunicorn", "-c", "config/gunicorn.py", "config.wsgi:application"]
    process = subprocess.Popen(  # noqa: S603  (our own program)
        [sys.executable, *command, "-b", f"{_HOST}:{port}", "--log-level", "warning"],
        env=environ,
        cwd=settings.BASE_DIR,
    )
    try:
        url = f"http://{_HOST}:{port}"
        _until_ready(url)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _until_ready(url: str) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            httpx.get(f"{url}/readyz").raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    main()
