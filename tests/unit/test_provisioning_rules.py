"""Retries and the end of a lease."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.clock import LOCAL_ZONE
from controlplane.provisioning.rules import (
    LIVE_STATES,
    ResourceState,
    add_months,
    months_renewable,
    renewed_until,
    retry_delay,
)


@pytest.mark.parametrize(
    ("attempt", "base_seconds", "seconds"),
    [(1, 5, 5), (2, 5, 10), (3, 5, 20), (7, 5, 320), (8, 5, 600), (60, 5, 600), (4, 0, 0)],
)
def test_each_try_waits_twice_as_long_up_to_ten_minutes(
    attempt: int, base_seconds: int, seconds: int
) -> None:
    assert retry_delay(attempt, base_seconds) == timedelta(seconds=seconds)


def local(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=LOCAL_ZONE)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (local(2026, 11, 24, 9), 1, local(2026, 12, 24, 9)),
        (local(2026, 11, 24, 9), 2, local(2027, 1, 24, 9)),
        (local(2026, 1, 31), 1, local(2026, 2, 28)),
        (local(2027, 12, 31), 2, local(2028, 2, 29)),
        (local(2026, 3, 31), 36, local(2029, 3, 31)),
        (local(2026, 12, 1), 12, local(2027, 12, 1)),
    ],
)
def test_a_lease_ends_on_the_same_day_or_the_month_s_last(
    start: datetime, months: int, end: datetime
) -> None:
    assert add_months(start, months) == end


def test_the_day_is_the_one_in_shanghai() -> None:
    start = datetime(2026, 1, 30, 17, tzinfo=UTC)  # 31 January, 01:00 in Shanghai
    assert add_months(start, 1) == datetime(2026, 2, 27, 17, tzinfo=UTC)
    assert add_months(start, 1).tzinfo is UTC


NOW = local(2026, 11, 24, 9)


@pytest.mark.parametrize(
    ("expires_at", "months", "until"),
    [
        (local(2026, 12, 10, 15), 12, local(2027, 12, 10, 15)),
        (local(2026, 11, 24, 10), 1, local(2026, 12, 24, 10)),  # it ends within the hour
        (local(2026, 11, 24, 9), 1, local(2026, 12, 24)),  # it ends now
        (local(2026, 8, 1), 1, local(2026, 12, 24)),  # it has ended long ago
        (local(2027, 1, 31), 1, local(2027, 2, 28)),
    ],
)
def test_a_renewed_lease_goes_on_from_its_end_or_from_today(
    expires_at: datetime, months: int, until: datetime
) -> None:
    assert renewed_until(expires_at, months, NOW) == until


@pytest.mark.parametrize(
    ("expires_at", "max_months", "months"),
    [
        (local(2027, 11, 24, 9), 36, 24),  # delivered this minute for a year
        (local(2027, 11, 24, 10), 36, 23),  # an hour beyond
        (local(2026, 12, 10), 36, 35),
        (local(2026, 8, 1), 36, 36),
        (local(2029, 11, 24, 9), 36, 0),
        (local(2029, 11, 25), 36, 0),  # declared shorter since
        (local(2026, 12, 10), 1, 0),
        (local(2026, 11, 24), 1, 1),
    ],
)
def test_a_lease_never_ends_further_off_than_the_service_allows(
    expires_at: datetime, max_months: int, months: int
) -> None:
    assert months_renewable(expires_at, NOW, max_months) == months


def test_what_holds_something_on_the_cloud_is_live() -> None:
    assert set(ResourceState) - set(LIVE_STATES) == {"building", "retired", "failed"}
