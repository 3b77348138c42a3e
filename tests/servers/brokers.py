"""Brokers of a test's own, on loopback."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from moto.server import ThreadedMotoServer

_START_S = 20


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The URL of an empty Redis that keeps nothing on disk."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = _free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        url = f"redis://127.0.0.1:{port}/0"
        _wait_for_redis(url)
        yield url
    finally:
        process.kill()
        process.wait()


@contextmanager
def sqs_server() -> Iterator[dict[str, str]]:
    """Moto's SQS; what the environment must say to reach it."""
    server = ThreadedMotoServer("127.0.0.1", port=_free_port(), verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield {
            "AWS_ENDPOINT_URL_SQS": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "STEMWRIGHT_BROKER_URL": "sqs://eu-central-1/test",
        }
    finally:
        server.stop()


def _wait_for_redis(url: str) -> None:
    deadline = time.monotonic() + _START_S
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
