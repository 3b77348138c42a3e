import json
import os
import random
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

from benchmarks.scheduling import capacity, clock  # noqa: E402
from benchmarks.scheduling.simulation import Simulation, Waits  # noqa: E402
from benchmarks.scheduling.workload import Order, RunTimes, orders  # noqa: E402
from jobs.models import Job  # noqa: E402

_N_WORKERS = (1, 4, 16, 64, 250, 1000)
# As recorded, on one core; and as it would be with workers so much faster, such as GPUs.
_SPEEDS = (1, 20)
_LOAD = 0.8
_ORDERS_AT_LEAST, _ORDERS_PER_WORKER = 1_000, 8
_SECONDS = 3.0


def main() -> None:
    connection.settings_dict["TEST"]["NAME"] = f"bench_scheduling_{os.getpid()}"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    # So that what is seen is the queue, not the plans.
    settings.PARALLEL_JOBS = 1_000_000
    try:
        costs = _costs()
        rows = [
            _simulated(n_workers, speed=speed, claim_s=1 / costs["claims_per_s"])
            for speed in _SPEEDS
            for n_workers in _N_WORKERS
        ]
        flood = _flood(claim_s=1 / costs["claims_per_s"])
    finally:
        connection.close()
        connection.creation.destroy_test_db("", verbosity=0)
    sys.stdout.write(json.dumps({**costs, "rows": rows, "flood": flood}) + "\n")


def _costs() -> dict[str, float]:
    """What a claim and a beat cost here; with 16 workers side by side."""
    clock.replace_clock()
    few = Simulation(n_workers=1, claim_s=0, rng=random.Random(1))
    few.run([Order(at_s=0, workspace=0, audio_s=60, run_s=1)])
    clock.restore_clock()
    capacity.make_waiting(Job.objects.get(), 20_000)
    claims = capacity.claims_per_second(n_threads=16, seconds=_SECONDS)
    beats = capacity.beats_per_second(n_threads=16, seconds=_SECONDS)
    _forget()
    _say(f"{claims:.0f} claims/s and {beats:.0f} heartbeats/s, by 16 workers at once")
    return {"claims_per_s": round(claims, 1), "beats_per_s": round(beats, 1)}


def _simulated(n_workers: int, *, speed: float, claim_s: float) -> dict[str, Any]:
    rng = random.Random(n_workers)
    n_orders = max(_ORDERS_AT_LEAST, _ORDERS_PER_WORKER * n_workers)
    flow = list(orders(rng, RunTimes(speed), n_orders=n_orders, n_workers=n_workers, load=_LOAD))
    waits = _run(flow, n_workers=n_workers, claim_s=claim_s, rng=rng)
    row = {
        "workers": n_workers,
        "speed": speed,
        "orders": n_orders,
        "orders_per_s": round(n_orders / flow[-1].at_s, 3),
        "preview_p50_s": _share(waits.previews_s, 0.5),
        "preview_p95_s": _share(waits.previews_s, 0.95),
        "other_p50_s": _share(waits.others_s, 0.5),
        "other_p95_s": _share(waits.others_s, 0.95),
        "claims_busy": round(n_orders / flow[-1].at_s * claim_s, 4),
    }
    _say(json.dumps(row))
    return row


def _flood(*, claim_s: float) -> dict[str, Any]:
    """One workspace orders 2,000 jobs at once; how long do the others wait?"""
    rng = random.Random(0)
    run_times = RunTimes(speed=1)
    flow = list(orders(rng, run_times, n_orders=400, n_workers=16, load=0.4))
    burst = [Order(0.0, 1_000, 210.0, run_times.of(210.0)) for _ in range(2_000)]
    waits = _run([*burst, *flow], n_workers=16, claim_s=claim_s, rng=rng)
    others = [wait for who, values in waits.by_workspace.items() if who != 1_000 for wait in values]
    row = {
        "workers": 16,
        "flooding_p50_s": _share(waits.by_workspace[1_000], 0.5),
        "others_p50_s": _share(others, 0.5),
        "others_p95_s": _share(others, 0.95),
    }
    _say(json.dumps(row))
    return row


def _run(flow: list[Order], *, n_workers: int, claim_s: float, rng: random.Random) -> Waits:
    clock.replace_clock()
    try:
        return Simulation(n_workers=n_workers, claim_s=claim_s, rng=rng).run(flow)
    finally:
        clock.restore_clock()
        _forget()


def _forget() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_job, jobs_asset CASCADE")


def _share(values: list[float], share: float) -> float:
    return round(sorted(values)[int(len(values) * share)], 2)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
