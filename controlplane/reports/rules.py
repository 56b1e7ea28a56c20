"""What was held day by day, what it says about a pool's future, and what would still fit: pure
arithmetic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction

from controlplane.clock import LOCAL_ZONE
from controlplane.metering.rules import Usage

DAY_SECONDS = 86_400
#: Fewer days than this tell nothing: one delivery would look like a trend.
MIN_TREND_DAYS = 7
#: Beyond this many days a straight line is no forecast any more.
HORIZON_DAYS = 3_650

#: (epoch seconds, amount held then)
Point = tuple[int, int]


@dataclass(frozen=True)
class Outlook:
    """Where a dimension of a pool is heading, if it goes on as it has.

    `per_day` is in the dimension's unit and may be negative. The days are those of Asia/Shanghai on
    which the warning line and the capacity are reached: today if they have been, None if they will
    not be within `HORIZON_DAYS`.
    """

    per_day: Fraction
    warning_on: date | None
    full_on: date | None


def outlook(points: Sequence[Point], capacity: int, warning_percent: int) -> Outlook | None:
    """The linear trend (least squares) of `points`, one a day in their order, carried on from the
    last of them. None: fewer than `MIN_TREND_DAYS` of them, so there is no trend."""
    if len(points) < MIN_TREND_DAYS:
        return None
    per_second = slope(points)
    warning = Fraction(capacity * warning_percent, 100)
    return Outlook(
        per_second * DAY_SECONDS,
        _day_reached(points[-1], per_second, warning),
        _day_reached(points[-1], per_second, Fraction(capacity)),
    )


def slope(points: Sequence[Point]) -> Fraction:
    """Amount per second of the straight line nearest to the points; 0 where they do not differ in
    time."""
    count = len(points)
    total_t, total_y = sum(t for t, _ in points), sum(y for _, y in points)
    spread = sum((count * t - total_t) ** 2 for t, _ in points)
    shared = sum((count * t - total_t) * (count * y - total_y) for t, y in points)
    return Fraction(shared, spread) if spread else Fraction(0)


def _day_reached(last: Point, per_second: Fraction, limit: Fraction) -> date | None:
    at, held = last
    if held >= limit:
        return _day_of(at)
    if per_second <= 0:
        return None
    seconds = (limit - held) / per_second
    return _day_of(at + int(seconds)) if seconds <= HORIZON_DAYS * DAY_SECONDS else None


def _day_of(at: int) -> date:
    return datetime.fromtimestamp(at, UTC).astimezone(LOCAL_ZONE).date()


def since_first_use(points: Sequence[int], series: Iterable[Sequence[int]]) -> int:
    """Index of the first point at which any of the series held something; all of them if none."""
    rows = list(series)
    return next((i for i in range(len(points)) if any(row[i] for row in rows)), len(points))


@dataclass(frozen=True)
class Fit:
    """How many machines of one size fit, each alone; `short_of` is the dimension that ends it."""

    count: int
    short_of: str


def how_many_fit(free: Mapping[str, int], size: Mapping[str, int]) -> Fit:
    """How often `size` (dimension -> amount) fits into `free`; a dimension not in it is full."""
    counts = {d: max(free.get(d, 0), 0) // amount for d, amount in size.items() if amount > 0}
    if not counts:
        return Fit(0, "")
    short_of = min(counts, key=lambda d: counts[d])
    return Fit(counts[short_of], short_of)


def unit_seconds_by_day(usages: Iterable[Usage], start: int, days: int) -> list[dict[str, int]]:
    """Quantity x seconds of each item in each of `days` days from `start` (epoch seconds), where
    there are any. A day has 86,400 s: Asia/Shanghai has no summer time.

    `usages` lie within these days. Each is told by its two ends, however many days it spans.
    """
    steps: list[dict[str, int]] = [defaultdict(int) for _ in range(days + 1)]
    parts: list[dict[str, int]] = [defaultdict(int) for _ in range(days + 1)]
    for usage in usages:
        first, before = divmod(usage.t0 - start, DAY_SECONDS)
        last, into = divmod(usage.t1 - start, DAY_SECONDS)
        steps[first][usage.item] += usage.quantity * DAY_SECONDS
        steps[last][usage.item] -= usage.quantity * DAY_SECONDS
        parts[first][usage.item] -= usage.quantity * before
        parts[last][usage.item] += usage.quantity * into
    whole: dict[str, int] = defaultdict(int)
    held = []
    for step, part in zip(steps[:days], parts[:days], strict=True):
        for item, change in step.items():
            whole[item] += change
        day = {item: seconds + part.get(item, 0) for item, seconds in whole.items()}
        held.append({item: seconds for item, seconds in day.items() if seconds})
    return held
