from hypothesis import given
from hypothesis import strategies as st

from separation.turns import MAX_URGENT_RUN, Turns


def queued(*items, urgent=()):
    """Items are `<key><recording><number>`, as in `a12`."""
    turns: Turns[str] = Turns()
    for item in items:
        turns.add(item, item[:2], item[0], urgent=item[:2] in urgent)
    return turns


def test_recordings_of_one_caller_take_turns():
    turns = queued("a11", "a12", "a13", "a21", "a22", "a31")
    assert turns.take(6) == ["a11", "a21", "a31", "a12", "a22", "a13"]
    assert len(turns) == 0


def test_a_caller_with_many_recordings_gets_no_more_than_one_with_one():
    turns = queued("a11", "a21", "a31", "b11", "b12", "b13")
    assert turns.take(6) == ["a11", "b11", "a21", "b12", "a31", "b13"]


def test_who_comes_later_waits_for_one_round_at_most():
    turns = queued("a11", "a12", "a13", "b11", "b12")
    assert turns.take(2) == ["a11", "b11"]
    turns.add("c11", "c1", "c", urgent=False)
    assert turns.take(3) == ["a12", "b12", "c11"]


def test_urgent_ones_go_first_and_starve_nobody():
    urgent = [f"u1{n}" for n in range(8)]
    turns = queued("a11", "a12", *urgent, urgent={"u1"})
    taken = turns.take(10)
    assert taken == [*urgent[:3], "a11", *urgent[3:6], "a12", *urgent[6:]]
    assert MAX_URGENT_RUN == 3


def test_a_recording_that_is_removed_takes_its_items_with_it():
    turns = queued("a11", "a12", "a21", "b11")
    assert turns.remove("a1") == ["a11", "a12"]
    assert turns.remove("a1") == []
    assert list(turns) == ["a21", "b11"]
    assert turns.take(9) == ["a21", "b11"]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=60))
def test_nothing_is_lost_and_shares_are_even(places):
    turns: Turns[tuple[int, int, int]] = Turns()
    for number, (key, recording) in enumerate(places):
        turns.add((key, recording, number), (key, recording), key, urgent=False)
    taken = turns.take(len(places))
    assert sorted(item[2] for item in taken) == list(range(len(places)))
    for key, recording in set(places):
        own = [item[2] for item in taken if item[:2] == (key, recording)]
        assert own == sorted(own)
    # As long as two callers both have something left, neither is more than a segment ahead.
    keys = [item[0] for item in taken]
    for a in range(3):
        for b in range(3):
            for n in range(len(keys)):
                if keys[n:].count(a) and keys[n:].count(b):
                    assert abs(keys[:n].count(a) - keys[:n].count(b)) <= 1
