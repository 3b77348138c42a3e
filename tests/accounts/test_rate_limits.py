from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from accounts.models import RateWindow
from accounts.rate_limits import Rate, address_subject, rate_count, rate_windows_clean

pytestmark = pytest.mark.django_db


def count(**values: Any) -> Rate:
    return rate_count(**{"subject": "key:a", "endpoint": "e", "limit": 2, **values})


def let_pass(seconds: float) -> None:
    """Make all windows older."""
    RateWindow.objects.update(started_at=F("started_at") - timedelta(seconds=seconds))


def test_the_last_call_allowed_passes_and_the_next_does_not():
    assert [count().is_exceeded for _ in range(4)] == [False, False, True, True]


def test_each_subject_and_endpoint_has_its_own_count():
    for _ in range(3):
        count()
    assert count(subject="key:b").calls == 1
    assert count(endpoint="f").calls == 1
    assert count().calls == 4


def test_a_window_begins_with_the_first_call_and_lasts_a_minute():
    count()
    let_pass(59.5)
    assert (count().calls, count().reset_s) == (2, 1)
    let_pass(0.5)
    again = count()
    assert (again.calls, again.reset_s) == (1, 60)


def test_a_window_that_began_later_than_the_call_is_no_trouble():
    """A statement that had to wait is older than the window which others began meanwhile."""
    count()
    RateWindow.objects.update(started_at=Now() + timedelta(seconds=30))
    later = count()
    assert (later.calls, later.reset_s) == (2, 60)


def test_the_headers_follow_the_draft():
    assert Rate(limit=100, calls=30, reset_s=17).headers == {
        "RateLimit-Policy": '"default";q=100;w=60',
        "RateLimit": '"default";r=70;t=17',
        "X-RateLimit-Limit": "100",
        "X-RateLimit-Remaining": "70",
        "X-RateLimit-Reset": "17",
    }
    assert Rate(limit=1, calls=9, reset_s=1).headers["RateLimit"] == '"default";r=0;t=1'


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.7", "ip:192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "ip:2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "ip:2001:db8:1:2::"),
        ("2001:db8:1:3::1", "ip:2001:db8:1:3::"),
        ("::ffff:192.0.2.7", "ip:192.0.2.7"),
    ],
)
def test_an_address_of_ipv6_stands_for_its_network(address: str, subject: str):
    assert address_subject(address) == subject


def test_old_windows_are_forgotten_and_present_ones_kept():
    count(subject="key:old")
    let_pass(601)
    count(subject="key:new")
    assert rate_windows_clean() == 1
    assert RateWindow.objects.get().subject == "key:new"


@pytest.mark.django_db(transaction=True)
def test_parallel_calls_are_counted_exactly():
    def one(_: int) -> int:
        try:
            return sum(not count(limit=100).is_exceeded for _ in range(20))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8))) == 100
    assert RateWindow.objects.get().calls == 160


@pytest.mark.django_db(transaction=True)
def test_the_counts_do_not_wait_for_the_disk():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relpersistence FROM pg_class WHERE oid = 'accounts_ratewindow'::regclass"
        )
        assert cursor.fetchone() == ("u",)
