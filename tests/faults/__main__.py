"""`python -m tests.faults`: see the package."""

import argparse
import atexit
import json
import logging
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import django
from django.core.management import call_command

from tests.faults.parts import ROOT, Database, FileSystem, Program, Redis, python
from tests.faults.receiver import Receiver

# After the last fault: a lease, a hung cluster, a pause before the next attempt, and the work.
_SETTLE_S = 240


def main() -> int:
    parser = argparse.ArgumentParser(description="Order short jobs and break the service.")
    parser.add_argument("--broker", choices=["postgres", "redis"], default="postgres")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=20, help="at most")
    parser.add_argument("--lease", type=int, default=6, help="seconds (the service's own: 30)")
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="stemwright-faults-"))
    if not arguments.keep:
        # Registered first, so that it comes last: the database has stopped by then.
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with ExitStack() as stack:
        result = _run(arguments, folder, stack)
    print("FAULTS " + json.dumps(result))
    return 1 if result["violations"] else 0


def _run(arguments: argparse.Namespace, folder: Path, stack: ExitStack) -> dict[str, object]:
    receiver = Receiver()
    stack.callback(receiver.down)
    files = FileSystem(folder / "files", size_mb=600)
    stack.callback(files.close)
    redis = _redis(arguments.broker, folder)
    if redis is not None:
        stack.callback(redis.kill)
    database = Database(folder / "var")
    environ = {
        "DATABASE_URL": database.join(),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "STEMWRIGHT_MEDIA_DIR": str(files.folder / "media"),
        "STEMWRIGHT_SCRATCH_DIR": str(files.folder / "scratch"),
        "STEMWRIGHT_BROKER_URL": redis.url if redis else "",
        "STEMWRIGHT_LOG_LEVEL": "INFO",
        "STEMWRIGHT_JOB_LEASE_SECONDS": str(arguments.lease),
        "STEMWRIGHT_OUTBOUND_ALLOW": "127.0.0.0/8",
        "STEMWRIGHT_OUTBOUND_PORTS": str(receiver.port),
        "TMPDIR": str(folder),
        # Two engines share the machine with everything else.
        "OMP_NUM_THREADS": "1",
    }
    os.environ.update(environ)
    (files.folder / "media").mkdir()
    django.setup()
    # What the programs say stands in their own logs.
    logging.disable(logging.WARNING)
    call_command("migrate", verbosity=0)
    return _break(arguments, folder, stack, receiver, files, redis, database)


def _redis(broker: str, folder: Path) -> Redis | None:
    if broker != "redis":
        return None
    if shutil.which("redis-server") is None:
        raise SystemExit("redis-server is not installed.")
    return Redis(folder)


def _programs(folder: Path) -> tuple[dict[str, Program], Program]:
    logs = folder / "logs"
    logs.mkdir()
    environ = dict(os.environ)
    # Two machines for separation.
    names = ["separation", "separation", "imports", "default"]
    clusters = {}
    for number, name in enumerate(names):
        command = python("manage.py", "cluster", name)
        clusters[f"{name}-{number}"] = Program(f"{name}-{number}", command, environ, logs)
    return clusters, Program("janitor", python("manage.py", "janitor"), environ, logs)


def _break(
    arguments: argparse.Namespace,
    folder: Path,
    stack: ExitStack,
    receiver: Receiver,
    files: FileSystem,
    redis: Redis | None,
    database: Database,
) -> dict[str, object]:
    # They need Django to be set up.
    from tests.faults import checks, endings
    from tests.faults.kinds import Stage, one_after_another
    from tests.faults.orders import Callers

    rng = random.Random(arguments.seed)
    callers = Callers(folder, callback_url=receiver.url, rng=rng)
    clusters, janitor = _programs(folder)
    for program in [*clusters.values(), janitor]:
        stack.callback(program.kill)
    stage = Stage(
        clusters,
        janitor,
        database,
        redis,
        files,
        "media",
        receiver,
        arguments.lease,
        random.Random(rng.random()),
    )
    deadline = time.monotonic() + arguments.minutes * 60
    over = threading.Event()

    def pause() -> bool:
        # Long enough for some work in between, short enough for faults to meet.
        over.wait(stage.random.uniform(0.5, 5))
        return bool(time.monotonic() < deadline - _SETTLE_S)

    breaker = threading.Thread(target=one_after_another, args=(stage, arguments.faults, pause))
    started = time.monotonic()
    breaker.start()
    while breaker.is_alive():
        # Always something to break, and more in the end than was asked for.
        callers.order_some()
        time.sleep(0.2)
    settled_s = endings.wait_for_all(callers, arguments.jobs, patience_s=_SETTLE_S)
    graceful = endings.stop_all(clusters, janitor)
    print(f"logs: {folder / 'logs'} under {ROOT}" if arguments.keep else "", file=sys.stderr)
    return {
        "broker": arguments.broker,
        "faults": sum(stage.done.values()),
        "kinds": stage.done,
        "seconds": round(time.monotonic() - started),
        "settled_s": settled_s,
        **checks.figures(),
        "taken_up_s": checks.taken_up_s(stage.cut_off),
        "violations": [
            *checks.violations(callers.ordered, files.folder / "media", receiver),
            *graceful,
            *_missing(stage.done, arguments),
        ],
    }


def _missing(done: dict[str, int], arguments: argparse.Namespace) -> list[str]:
    """What the run itself failed to do."""
    number = sum(done.values())
    return [] if number >= arguments.faults else [f"{number} faults instead of {arguments.faults}"]


if __name__ == "__main__":
    sys.exit(main())
