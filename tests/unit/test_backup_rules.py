"""When backups and drills are due, in Beijing's time, and what counts as proven."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.backups.rules import (
    backup_due,
    drill_due,
    is_drill_overdue,
    latest_moment,
    quarter_of,
    retained_until,
    time_of_day,
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        ("2026-11-24 18:00:00", "2026-11-24 18:00:00"),  # 02:00 in Beijing is 18:00 the day before
        ("2026-11-24 17:59:59", "2026-11-23 18:00:00"),
        ("2026-11-24 23:00:00", "2026-11-24 18:00:00"),
        ("2026-12-31 18:00:01", "2026-12-31 18:00:00"),  # already the next year there
    ],
)
def test_the_newest_moment_of_a_day_in_beijing(now: str, moment: str) -> None:
    assert latest_moment(utc(now), "02:00") == utc(moment)


@pytest.mark.parametrize(
    ("delivered", "now", "due"),
    [
        ("2026-11-24 09:00", "2026-11-24 17:00", None),  # delivered today: its first night is ahead
        ("2026-11-24 09:00", "2026-11-24 18:00", "2026-11-24 18:00"),
        ("2026-11-24 09:00", "2026-11-28 03:00", "2026-11-27 18:00"),  # three missed, one is taken
    ],
)
def test_a_backup_is_due_once_for_the_newest_night(
    delivered: str, now: str, due: str | None
) -> None:
    assert backup_due(utc(now), "02:00", utc(delivered)) == (utc(due) if due else None)


@pytest.mark.parametrize("text", ["2:00", "24:00", "02:60", "ab:cd", "", "02-00", "-1:00"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time of day|must be in|invalid literal"):
        time_of_day(text)


def test_a_backup_is_kept_for_whole_days_from_its_end() -> None:
    assert retained_until(utc("2026-11-24 18:03"), 7) == utc("2026-12-01 18:03")


@pytest.mark.parametrize(
    ("at", "quarter"),
    [
        ("2026-12-31 15:59", (2026, 4)),
        ("2026-12-31 16:00", (2027, 1)),
        ("2026-03-31 16:00", (2026, 2)),
    ],
)
def test_quarters_begin_at_midnight_in_beijing(at: str, quarter: tuple[int, int]) -> None:
    assert quarter_of(utc(at)) == quarter


@pytest.mark.parametrize(
    ("first", "proven", "now", "due"),
    [
        (None, None, "2026-11-24 20:00", None),  # nothing to restore yet
        ("2026-11-24 18:01", None, "2026-11-24 19:00", None),  # this night's drills are ahead
        ("2026-11-24 18:01", None, "2026-11-24 20:00", "2026-11-24 20:00"),
        ("2026-11-24 18:01", None, "2026-11-26 03:00", "2026-11-25 20:00"),  # again each night
        ("2026-07-01 18:01", "2026-10-02 20:05", "2026-12-30 20:00", None),  # this quarter's passed
        ("2026-07-01 18:01", "2026-09-29 20:05", "2026-09-30 20:00", "2026-09-30 20:00"),
        ("2026-07-01 18:01", "2026-12-02 20:05", "2026-12-31 19:59", None),
        ("2026-07-01 18:01", "2026-12-02 20:05", "2026-12-31 20:00", "2026-12-31 20:00"),
    ],
)
def test_a_drill_is_due_after_the_first_backup_and_in_each_quarter(
    first: str | None, proven: str | None, now: str, due: str | None
) -> None:
    found = drill_due(
        utc(now), "02:00", utc(first) if first else None, utc(proven) if proven else None
    )
    assert found == (utc(due) if due else None)


def test_a_drill_is_overdue_a_week_after_it_was_wanted() -> None:
    first = utc("2026-07-01 18:00")
    assert not is_drill_overdue(first + timedelta(days=7), first, None)
    assert is_drill_overdue(first + timedelta(days=7, seconds=1), first, None)
    proven = utc("2026-11-24 18:00")
    assert not is_drill_overdue(utc("2027-01-07 16:00"), first, proven)
    assert is_drill_overdue(utc("2027-01-07 16:00:01"), first, proven)
    assert not is_drill_overdue(utc("2026-11-25 00:00"), None, None)
