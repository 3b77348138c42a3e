from zoneinfo import ZoneInfo

import pytest

from accounts.time_zones import time_zone_names, time_zone_of


def test_it_knows_names_and_nothing_else():
    assert time_zone_of("Europe/Berlin") == ZoneInfo("Europe/Berlin")
    assert str(time_zone_of("UTC")) == "UTC"
    names = time_zone_names()
    assert names[0] == "UTC"
    assert {"Europe/Berlin", "America/Argentina/Buenos_Aires", "Pacific/Auckland"} < set(names)
    assert all(time_zone_of(name) is not None for name in names)


@pytest.mark.parametrize(
    "name", ["", "Berlin", "../../etc/passwd", "/etc/localtime", "Europe/", "a\0"]
)
def test_it_looks_no_other_text_up(name: str):
    assert time_zone_of(name) is None
