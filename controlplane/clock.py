"""The one clock: UTC now, passed in wherever a decision depends on time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]

HOUR_SECONDS = 3_600

#: Everything a person reads is in the time of Beijing (GB/T 7408); storage is UTC.
LOCAL_ZONE = ZoneInfo("Asia/Shanghai")


def utc_now() -> datetime:
    """Now in UTC, whole seconds: metering counts whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def local_second(at: datetime) -> str:
    """`2026-11-23 15:40:06`, Beijing time, as people read and type it."""
    return at.astimezone(LOCAL_ZONE).strftime("%Y-%m-%d %H:%M:%S")


def local_moment(text: str) -> datetime:
    """UTC of `2026-11-23 15:40` or `2026-11-23 15:40:06`, Beijing time. Errors: ValueError."""
    if ":" not in text:
        raise ValueError(f"{text!r} has no time of day")
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=LOCAL_ZONE)).astimezone(UTC)


def epoch_seconds(at: datetime) -> int:
    """Seconds since 1970-01-01 UTC of an aware time."""
    return int(at.timestamp())


def from_epoch(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def month_bounds(year: int, month: int) -> tuple[datetime, datetime]:
    """Half-open bounds in UTC of a calendar month of Asia/Shanghai."""
    start = datetime(year, month, 1, tzinfo=LOCAL_ZONE)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=LOCAL_ZONE)
    return start.astimezone(UTC), end.astimezone(UTC)
