"""Fixtures with an S3 server, and a word in pytest's report on which one it was.

The server starts with the first test that needs it and serves the whole session; under pytest-xdist
each process that needs one has its own.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from config.buckets import bucket_storage
from tests.servers.s3 import RealBucket, S3Server, bucket_make, s3_server, server_name

_CHECKS = "::test_s3_check["


def pytest_report_header() -> str:
    return f"S3 server of the storage tests: {server_name()}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    stats = terminalreporter.stats
    passed = _count_checks(stats.get("passed", ()))
    others = ("failed", "error", "skipped", "xfailed", "xpassed")
    total = passed + sum(_count_checks(stats.get(outcome, ())) for outcome in others)
    if total:
        terminalreporter.section("S3")
        terminalreporter.line(f"{passed} of {total} strict checks passed on {server_name()}")


def _count_checks(reports: Any) -> int:
    return sum(_CHECKS in report.nodeid and report.when != "teardown" for report in reports)


@pytest.fixture(scope="session", name="s3_server")
def _s3_server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(s3_server: S3Server, settings: Any) -> RealBucket:
    """A bucket that the service keeps its files in, for one test."""
    made = bucket_make(s3_server)
    settings.S3_BUCKET = made.name
    storage = bucket_storage(
        bucket=made.name,
        endpoint=s3_server.url,
        access_key=s3_server.access_key,
        secret_key=s3_server.secret_key,
        addressing="path",
    )
    settings.STORAGES = {**settings.STORAGES, "default": storage}
    return made
