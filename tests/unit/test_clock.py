"""Months of Shanghai in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.clock import epoch_seconds, from_epoch, month_bounds, utc_now


@pytest.mark.parametrize(
    ("year", "month", "start", "end"),
    [
        (2026, 11, (2026, 10, 31, 16), (2026, 11, 30, 16)),
        (2026, 12, (2026, 11, 30, 16), (2026, 12, 31, 16)),
        (2027, 1, (2026, 12, 31, 16), (2027, 1, 31, 16)),
        (2028, 2, (2028, 1, 31, 16), (2028, 2, 29, 16)),
    ],
)
def test_a_month_begins_at_midnight_in_shanghai(
    year: int, month: int, start: tuple[int, ...], end: tuple[int, ...]
) -> None:
    assert month_bounds(year, month) == (datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))


def test_months_follow_each_other_without_gap_or_overlap() -> None:
    for ordinal in range(2000 * 12, 2100 * 12):
        this, following = divmod(ordinal, 12), divmod(ordinal + 1, 12)
        end = month_bounds(this[0], this[1] + 1)[1]
        assert end == month_bounds(following[0], following[1] + 1)[0]


def test_days_of_shanghai_have_no_summer_time() -> None:
    """Charts count days as 86,400 s from the month's first second."""
    for year in range(2000, 2100):
        start, end = month_bounds(year, 7)
        assert end - start == timedelta(days=31)


def test_seconds_there_and_back() -> None:
    at = datetime(2026, 11, 24, 1, 30, 7, tzinfo=UTC)
    assert from_epoch(epoch_seconds(at)) == at


def test_now_is_a_whole_second_of_utc() -> None:
    now = utc_now()
    assert (now.microsecond, now.tzinfo) == (0, UTC)
