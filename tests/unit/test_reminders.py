"""When somebody is told that a lease or a certificate ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.reports.reminders import reminder

NOW = datetime(2026, 11, 28, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("left", "due"),
    [
        (timedelta(days=31), None),
        (timedelta(days=30, seconds=1), None),
        (timedelta(days=30), 30),
        (timedelta(days=8), 30),
        (timedelta(days=7), 7),
        (timedelta(days=1, seconds=1), 7),
        (timedelta(days=1), 1),
        (timedelta(seconds=1), 1),
        (timedelta(), 0),
        (timedelta(days=-3), 0),
    ],
)
def test_the_newest_reminder_that_is_due(left: timedelta, due: int | None) -> None:
    assert reminder(NOW + left, NOW) == due
