"""Trends, the day a pool is full, and what would still fit: tables of cases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.metering.rules import Usage, overlap_seconds
from controlplane.reports.rules import (
    DAY_SECONDS,
    HORIZON_DAYS,
    Fit,
    how_many_fit,
    outlook,
    since_first_use,
    slope,
    unit_seconds_by_day,
)

#: The end of 1 November 2026 in Beijing.
FIRST = int(datetime(2026, 11, 1, 15, 59, 59, tzinfo=UTC).timestamp())


def daily(*amounts: int) -> list[tuple[int, int]]:
    return [(FIRST + i * DAY_SECONDS, amount) for i, amount in enumerate(amounts)]


@pytest.mark.parametrize(
    ("amounts", "per_day"),
    [
        ((5, 5, 5, 5), 0),
        ((0, 2, 4, 6), 2),
        ((6, 4, 2, 0), -2),
        ((0, 0, 10, 10), 4),
        ((7,), 0),
        ((), 0),
    ],
)
def test_slope_is_that_of_least_squares(amounts: tuple[int, ...], per_day: int) -> None:
    assert slope(daily(*amounts)) * DAY_SECONDS == per_day


@pytest.mark.parametrize(
    ("amounts", "warning_on", "full_on"),
    [
        # ten more a day from 60 on the 7th: 80 two days later, 100 four days later
        ((0, 10, 20, 30, 40, 50, 60), date(2026, 11, 9), date(2026, 11, 11)),
        # the line is passed already, the end is not
        ((30, 40, 50, 60, 70, 80, 90), date(2026, 11, 7), date(2026, 11, 8)),
        # a capacity lowered below what is held
        ((70, 80, 90, 100, 110, 120, 130), date(2026, 11, 7), date(2026, 11, 7)),
        # steady, and shrinking
        ((50,) * 7, None, None),
        ((60, 50, 40, 30, 20, 10, 0), None, None),
        # shrinking, and yet above the line
        ((99, 98, 97, 96, 95, 94, 93), date(2026, 11, 7), None),
        # nothing was ever held
        ((0,) * 7, None, None),
    ],
)
def test_days_on_which_line_and_capacity_are_reached(
    amounts: tuple[int, ...], warning_on: date | None, full_on: date | None
) -> None:
    found = outlook(daily(*amounts), 100, 80)
    assert found is not None
    assert (found.warning_on, found.full_on) == (warning_on, full_on)


@pytest.mark.parametrize("days", range(7))
def test_fewer_than_seven_days_are_no_trend(days: int) -> None:
    assert outlook(daily(*range(days)), 100, 80) is None


def test_a_day_so_far_counts_for_the_part_of_it_that_has_passed() -> None:
    points = [*daily(0, 10, 20, 30, 40, 50), (FIRST + 5 * DAY_SECONDS + DAY_SECONDS // 2, 55)]
    found = outlook(points, 100, 80)
    assert found is not None
    assert found.per_day == 10


def test_what_lies_beyond_the_horizon_is_not_foretold() -> None:
    amounts = (0, 0, 0, 0, 0, 0, 1)
    per_day = slope(daily(*amounts)) * DAY_SECONDS
    near, far = int(per_day * (HORIZON_DAYS - 1)), int(per_day * (HORIZON_DAYS + 20))
    found = outlook(daily(*amounts), near, 100)
    assert found is not None
    last = date(2026, 11, 7) + timedelta(days=HORIZON_DAYS)
    assert found.full_on is not None
    assert found.full_on <= last
    beyond = outlook(daily(*amounts), far, 100)
    assert beyond is not None
    assert beyond.full_on is None


def test_large_amounts_are_exact() -> None:
    """Memory of a pool in MiB: no float is rounded on the way."""
    found = outlook(daily(*(i * 2**40 + 1 for i in range(30))), 2**50, 80)
    assert found is not None
    assert found.per_day == 2**40


@pytest.mark.parametrize(
    ("series", "first"),
    [
        ([[0, 0, 1], [0, 2, 0]], 1),
        ([[3, 0, 0]], 0),
        ([[0, 0, 0]], 3),
        ([], 3),
    ],
)
def test_days_before_the_first_use_are_no_data(series: list[list[int]], first: int) -> None:
    assert since_first_use((1, 2, 3), series) == first


SIZE = {"vcpu": 2, "memory_mib": 8192, "storage_gib.standard": 40}


@pytest.mark.parametrize(
    ("free", "size", "fit"),
    [
        ({"vcpu": 9, "memory_mib": 81920, "storage_gib.standard": 400}, SIZE, Fit(4, "vcpu")),
        ({"vcpu": 99, "memory_mib": 8191, "storage_gib.standard": 400}, SIZE, Fit(0, "memory_mib")),
        (
            {"vcpu": 99, "memory_mib": 81920, "storage_gib.standard": 80},
            SIZE,
            Fit(2, "storage_gib.standard"),
        ),
        # a capacity lowered below what is used leaves less than nothing
        ({"vcpu": -4, "memory_mib": 81920, "storage_gib.standard": 80}, SIZE, Fit(0, "vcpu")),
        # a dimension that the pool does not have
        ({"vcpu": 9, "memory_mib": 81920}, SIZE, Fit(0, "storage_gib.standard")),
        # what a size does not use does not limit it
        ({"vcpu": 4, "memory_mib": 0}, {"vcpu": 2, "memory_mib": 0}, Fit(2, "vcpu")),
        ({"vcpu": 4}, {}, Fit(0, "")),
    ],
)
def test_how_many_fit(free: dict[str, int], size: dict[str, int], fit: Fit) -> None:
    assert how_many_fit(free, size) == fit


usages = st.builds(
    lambda item, quantity, t0, seconds: Usage(
        item, quantity, t0, min(t0 + seconds, 5 * DAY_SECONDS)
    ),
    st.sampled_from(["vcpu", "memory_mib"]),
    st.integers(1, 10**9),
    st.integers(0, 5 * DAY_SECONDS - 1),
    st.integers(1, 5 * DAY_SECONDS),
)


@given(st.lists(usages))
def test_what_was_held_falls_to_the_days_it_was_held_on(held: list[Usage]) -> None:
    by_day = unit_seconds_by_day(held, 0, 5)
    for day, found in enumerate(by_day):
        bounds = day * DAY_SECONDS, (day + 1) * DAY_SECONDS
        expected: dict[str, int] = {}
        for usage in held:
            if seconds := overlap_seconds(usage.t0, usage.t1, *bounds):
                expected[usage.item] = expected.get(usage.item, 0) + usage.quantity * seconds
        assert found == expected
