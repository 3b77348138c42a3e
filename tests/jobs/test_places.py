import pytest

from config.errors import TooManyRequests
from jobs.places import Places


def places(*, most: int, most_of_owner: int) -> Places:
    return Places(
        most=lambda: most, most_of_owner=lambda: most_of_owner, refuse=lambda: TooManyRequests()
    )


def test_an_owner_has_so_many():
    few = places(most=3, most_of_owner=1)
    with few.place("a"), few.place("b"):
        with pytest.raises(TooManyRequests), few.place("a"):
            raise AssertionError
    with few.place("a"):
        pass


def test_all_together_have_so_many():
    few = places(most=1, most_of_owner=5)
    with few.place("a"), pytest.raises(TooManyRequests), few.place("b"):
        raise AssertionError


def test_a_place_is_given_back_after_an_error():
    few = places(most=1, most_of_owner=1)
    for _ in range(2):
        with pytest.raises(RuntimeError), few.place("a"):
            raise RuntimeError
    assert not few._taken
