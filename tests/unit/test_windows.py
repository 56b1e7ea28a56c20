"""When a maintenance window is open, in the time of Beijing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controlplane.clock import LOCAL_ZONE
from controlplane.windows import is_open, next_opening, window_in


def local(text: str) -> datetime:
    """A time of Beijing in the week of Monday 23 to Sunday 29 November 2026."""
    day, hour = text.split()
    dates = dict(zip(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), range(23, 30), strict=True))
    hours, minutes = hour.split(":")
    at = datetime(2026, 11, dates[day], int(hours), int(minutes), tzinfo=LOCAL_ZONE)
    return at.astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "now", "opens"),
    [
        ("02:00-04:00", "tue 02:00", "tue 02:00"),
        ("02:00-04:00", "tue 03:59", "tue 03:59"),
        ("02:00-04:00", "tue 04:00", "wed 02:00"),
        ("22:00-06:00", "tue 23:00", "tue 23:00"),
        ("22:00-06:00", "wed 05:59", "wed 05:59"),
        ("22:00-06:00", "wed 06:00", "wed 22:00"),
        ("sat,sun 22:00-06:00", "tue 23:00", "sat 22:00"),
        ("fri 22:00-06:00", "sat 05:00", "sat 05:00"),
        ("sat 22:00-06:00", "sat 05:00", "sat 22:00"),
        ("00:00-00:00", "thu 13:00", "thu 13:00"),
        ("", "thu 13:00", "thu 13:00"),
    ],
)
def test_when_it_opens(window: str, now: str, opens: str) -> None:
    chosen = window_in(window) if window else None
    at = next_opening(chosen, local(now))
    assert at == local(opens)
    assert is_open(chosen, local(now)) is (now == opens)
    assert at.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "22-06", "24:00-01:00", "sunday 22:00-06:00", "sat, sun 22:00-06:00", "22:00-6:00"]
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not like"):
        window_in(text)


@pytest.mark.parametrize("text", ["22:00-06:00", "sat,sun 22:00-06:00", "mon 00:00-00:00"])
def test_a_window_reads_as_it_was_written(text: str) -> None:
    assert str(window_in(text)) == text
