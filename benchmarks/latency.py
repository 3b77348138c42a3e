"""From request to start on an idle service: `python -m benchmarks.latency [ORDERS]`.

A real cluster and janitor, with the broker of STEMWRIGHT_BROKER_URL. Jobs are ordered one after the
other; each is cancelled as soon as it has started, so that the next one meets an idle worker. All
of it happens in a database that is made for it and dropped afterwards.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("STEMWRIGHT_LOG_LEVEL", "WARNING")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

from accounts.models import Workspace  # noqa: E402
from billing.ledger import credits_grant  # noqa: E402
from jobs.models import ENDED, Asset, Job  # noqa: E402
from jobs.services import Order, asset_create, job_cancel, job_create  # noqa: E402

_TIMEOUT_S = 120
_SAMPLE_RATE = 44_100


def main() -> None:
    n_orders = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    connection.settings_dict["TEST"]["NAME"] = f"bench_latency_{os.getpid()}"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            settings.MEDIA_ROOT = Path(folder) / "media"
            for command in (["cluster", "separation"], ["janitor"]):
                stack.enter_context(_manage(*command, folder=Path(folder)))
            waits_s = _measure(n_orders, Path(folder))
    finally:
        connection.creation.destroy_test_db("", verbosity=0)
    waits_s.sort()
    result = {
        "broker": settings.BROKER_URL.partition(":")[0] or "postgresql",
        "orders": n_orders,
        "p50_s": round(statistics.median(waits_s), 3),
        "p95_s": round(waits_s[int(0.95 * (n_orders - 1))], 3),
        "max_s": round(waits_s[-1], 3),
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _measure(n_orders: int, folder: Path) -> list[float]:
    workspace = Workspace.objects.create(name="Latency")
    credits_grant(workspace=workspace, amount_mcr=10**9, source="bench", idempotency_key="bench")
    asset = _asset(workspace, folder)
    # The first one finds a cluster that has just started, and waits for that.
    return [_wait_s(workspace, asset) for _ in range(n_orders + 1)][1:]


def _wait_s(workspace: Workspace, asset: Asset) -> float:
    # At any point of the time between two looks at the queue.
    time.sleep(random.uniform(0.2, 0.6))
    order = Order(asset.uuid, "separation", ("vocals",), None, "wav")
    job = job_create(workspace=workspace, api_key=None, order=order)
    _until(lambda: Job.objects.filter(pk=job.pk, started_at__isnull=False).exists())
    job_cancel(workspace=workspace, job_uuid=job.uuid)
    _until(lambda: Job.objects.filter(pk=job.pk, state__in=ENDED).exists())
    job.refresh_from_db()
    if job.started_at is None:
        raise RuntimeError("the job ended without a start")
    return (job.started_at - job.created_at).total_seconds()


def _asset(workspace: Workspace, folder: Path) -> Asset:
    path = folder / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, _SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(bytes(2 * _SAMPLE_RATE))
    return asset_create(workspace=workspace, filename=path.name, path=path)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


@contextmanager
def _manage(*arguments: str, folder: Path) -> Iterator[None]:
    database = connection.settings_dict
    address = f"{quote(database['HOST'], safe='')}:{database['PORT']}/{database['NAME']}"
    user = quote(database["USER"], safe="")
    if database["PASSWORD"]:
        user += ":" + quote(database["PASSWORD"], safe="")
    environ = {
        **os.environ,
        "DATABASE_URL": f"postgresql://{user}@{address}",
        "STEMWRIGHT_MEDIA_DIR": str(folder / "media"),
        "STEMWRIGHT_SCRATCH_DIR": str(folder / "scratch"),
        "TMPDIR": str(folder),
    }
    process = subprocess.Popen(  # noqa: S603  (our own program)
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments], env=environ
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
