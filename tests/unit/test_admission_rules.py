"""What fits: arithmetic on capacity vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.admission.rules import Bound, Shortfall, difference, shortfalls

DIMENSIONS = st.sampled_from(["vcpu", "memory_mib", "storage_gib.ssd", "storage_gib.standard"])
VECTORS = st.dictionaries(DIMENSIONS, st.integers(0, 10**9))
CHANGES = st.dictionaries(DIMENSIONS, st.integers(-(10**9), 10**9))
BOUNDS = st.dictionaries(DIMENSIONS, st.tuples(*[st.integers(0, 10**9)] * 3)).map(
    lambda rows: [Bound(d, *numbers) for d, numbers in rows.items()]
)


@pytest.mark.parametrize(
    ("before", "after", "asked"),
    [
        ({}, {"vcpu": 2}, {"vcpu": 2}),
        ({"vcpu": 2}, {"vcpu": 2}, {}),
        ({"vcpu": 2, "memory_mib": 4096}, {"vcpu": 4, "memory_mib": 2048},
         {"vcpu": 2, "memory_mib": -2048}),
        ({"storage_gib.ssd": 10}, {}, {"storage_gib.ssd": -10}),
        ({}, {}, {}),
    ],
)  # fmt: skip
def test_a_change_asks_for_the_difference(
    before: dict[str, int], after: dict[str, int], asked: dict[str, int]
) -> None:
    assert difference(before, after) == asked


@given(VECTORS, VECTORS)
def test_what_is_there_and_the_difference_give_what_is_wanted(
    before: dict[str, int], after: dict[str, int]
) -> None:
    change = difference(before, after)
    assert 0 not in change.values()
    for dimension in {*before, *after}:
        total = before.get(dimension, 0) + change.get(dimension, 0)
        assert total == after.get(dimension, 0)


BOUND = Bound("vcpu", capacity=10, held=3, allocated=4)


@pytest.mark.parametrize(
    ("asked", "short"),
    [
        ({"vcpu": 3}, []),
        ({"vcpu": 4}, [Shortfall("vcpu", asked=4, free=3, capacity=10)]),
        ({"vcpu": 0}, []),
        ({"vcpu": -100}, []),
        ({"memory_mib": 1}, [Shortfall("memory_mib", asked=1, free=0, capacity=0)]),
        ({"memory_mib": -1}, []),
        ({"vcpu": 3, "memory_mib": -1}, []),
    ],
)
def test_only_a_growing_dimension_is_short(asked: dict[str, int], short: list[Shortfall]) -> None:
    assert shortfalls(asked, [BOUND]) == short


def test_a_capacity_below_what_is_used_takes_nothing_more_and_says_that_nothing_is_free() -> None:
    lowered = Bound("vcpu", capacity=5, held=3, allocated=4)
    assert lowered.free == -2
    assert shortfalls({"vcpu": 1}, [lowered]) == [Shortfall("vcpu", 1, free=0, capacity=5)]
    assert shortfalls({"vcpu": -1}, [lowered]) == []


@given(CHANGES, BOUNDS)
def test_a_dimension_is_short_exactly_when_it_would_pass_its_bound(
    asked: dict[str, int], bounds: list[Bound]
) -> None:
    by_dimension = {b.dimension: b for b in bounds}
    short = {s.dimension for s in shortfalls(asked, bounds)}
    for dimension, amount in asked.items():
        bound = by_dimension.get(dimension, Bound(dimension, 0, 0, 0))
        passes = bound.held + bound.allocated + amount > bound.capacity
        assert (dimension in short) == (amount > 0 and passes)
