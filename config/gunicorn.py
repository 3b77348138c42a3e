"""The web server: `gunicorn -c config/gunicorn.py config.wsgi:application -b ADDRESS`.

`WEB_CONCURRENCY` sets the number of processes.
"""

import gc
import os
import shutil
import tempfile
from typing import Any

worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# A thread is taken for as long as a progress stream, a download or a call that waits for its result
# lasts.
threads = 24
timeout = 60
graceful_timeout = 10
control_socket_disable = True

# Each process counts its requests in a file here, and any of them can tell the sum. A new folder
# for each start: the counts of an earlier one are not ours. Before prometheus_client is imported
# anywhere, which decides then how it counts; kept when this file is read again (SIGHUP).
_folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR") or tempfile.mkdtemp(prefix="metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _folder


def post_worker_init(worker: Any) -> None:
    # The application is loaded and stays: without this, looking for garbage goes through all of it
    # now and then, while every call waits (measured: 0.1 s).
    gc.collect()
    gc.freeze()


def pre_request(worker: Any, request: Any) -> None:
    from config.arriving import Arrival

    Arrival(request)


def post_request(worker: Any, request: Any, environ: Any, response: Any) -> None:
    request.body.arrival.end()


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    shutil.rmtree(_folder, ignore_errors=True)
