"""Maintenance windows: when, in the week of Asia/Shanghai, something may be begun."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from controlplane.clock import LOCAL_ZONE

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: `22:00-06:00` every day, or `sat,sun 22:00-06:00`.
PATTERN = (
    "^((mon|tue|wed|thu|fri|sat|sun)(,(mon|tue|wed|thu|fri|sat|sun))* )?"
    "([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"
)


@dataclass(frozen=True)
class Window:
    """Opens on `days` (0: Monday); one that closes no later than it opens does so the next day."""

    days: frozenset[int]
    opens: time
    closes: time

    def __str__(self) -> str:
        days = ",".join(DAYS[day] for day in sorted(self.days)) if len(self.days) < 7 else ""
        return f"{days} {self.opens:%H:%M}-{self.closes:%H:%M}".strip()


def window_in(text: str) -> Window:
    """Errors: ValueError."""
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r} is not like 22:00-06:00 or sat,sun 22:00-06:00")
    days, _, hours = text.rpartition(" ")
    opens, closes = (time.fromisoformat(part) for part in hours.split("-"))
    chosen = frozenset(DAYS.index(day) for day in days.split(",")) if days else frozenset(range(7))
    return Window(chosen, opens, closes)


def next_opening(window: Window | None, now: datetime) -> datetime:
    """`now` itself while the window is open, which it always is where there is none."""
    if window is None:
        return now
    local = now.astimezone(LOCAL_ZONE)
    for ahead in range(-1, 9):
        day = local.date() + timedelta(days=ahead)
        if day.weekday() not in window.days:
            continue
        opens = datetime.combine(day, window.opens, LOCAL_ZONE)
        lasts = 0 if window.closes > window.opens else 1
        closes = datetime.combine(day + timedelta(days=lasts), window.closes, LOCAL_ZONE)
        if now < closes:
            return max(now, opens.astimezone(now.tzinfo))
    raise AssertionError("a week without a day of the window")


def is_open(window: Window | None, now: datetime) -> bool:
    return next_opening(window, now) <= now
