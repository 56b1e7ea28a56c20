"""What was held at the end of each day, beside what bounds it: of pools and of departments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import policy
from controlplane.admission.models import Pool, QuotaBound
from controlplane.clock import LOCAL_ZONE, epoch_seconds, month_bounds
from controlplane.errors import NotFound
from controlplane.metering.models import UsageInterval
from controlplane.metering.rules import BACKUP_STORAGE
from controlplane.policy import Subject
from controlplane.provisioning.models import Resource
from controlplane.reports.rules import DAY_SECONDS, Outlook, outlook, since_first_use
from controlplane.tenancy.models import Department


@dataclass(frozen=True)
class HeldSeries:
    """What was held of one dimension at each of a history's instants, in its unit.

    `bound` is today's quota or capacity (None: none is declared); what it was then is not kept.
    """

    dimension: str
    amounts: tuple[int, ...]
    bound: int | None


@dataclass(frozen=True)
class History:
    """`instants` are epoch seconds: the last second of each day of Asia/Shanghai, today's is now.
    `series` stand under a pool's code or under a zone."""

    instants: tuple[int, ...]
    series: Mapping[str, Sequence[HeldSeries]]


def pools_history(session: Session, pools: Sequence[Pool], now: datetime, days: int) -> History:
    """The last `days` days of each of the pools, in one query."""
    today = now.astimezone(LOCAL_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    start = epoch_seconds(today - timedelta(days=days - 1))
    instants = _instants(start, epoch_seconds(now) + 1)
    # Archives of backups lie in a store of their own.
    held = _held(session, instants, Resource.pool_code, UsageInterval.item != BACKUP_STORAGE)
    bounds = {pool.code: {b.dimension: b.capacity for b in pool.bounds} for pool in pools}
    return History(instants, _series(held, bounds, len(instants)))


def department_history(
    session: Session, subject: Subject, department: Department, year: int, month: int, now: datetime
) -> History:
    """The days of a month so far of a department's subtree, by zone, beside its own quota.

    Zones in which it neither held anything nor has a quota are left out. Errors: NotFound (no such
    month, or not for this person).
    """
    if not (2000 <= year <= 2999 and 1 <= month <= 12):
        raise NotFound
    if not policy.is_allowed(subject, "month.view", department_path=department.path):
        raise NotFound
    start, end = (epoch_seconds(t) for t in month_bounds(year, month))
    instants = _instants(start, min(end, epoch_seconds(now) + 1))
    subtree = sa.select(Department.id).where(Department.path.startswith(department.path))
    inside = UsageInterval.department_id.in_(subtree)
    held = _held(session, instants, Resource.zone, inside)
    quotas = session.execute(
        sa.select(QuotaBound.zone, QuotaBound.dimension, QuotaBound.capacity).where(
            QuotaBound.department_id == department.id
        )
    )
    bounds: dict[str, dict[str, int]] = defaultdict(dict)
    for zone, dimension, capacity in quotas:
        bounds[zone][dimension] = capacity
    return History(instants, _series(held, bounds, len(instants)))


def outlooks(history: History, pool: Pool) -> dict[str, Outlook | None]:
    """Where each dimension of a pool is heading; None where there is no trend yet.

    Days before the pool held anything at all are no data.
    """
    series = history.series.get(pool.code, ())
    first = since_first_use(history.instants, [s.amounts for s in series])
    instants = history.instants[first:]
    return {
        s.dimension: outlook(
            list(zip(instants, s.amounts[first:], strict=True)), s.bound, pool.warning_percent
        )
        for s in series
        if s.bound is not None
    }


def _instants(start: int, until: int) -> tuple[int, ...]:
    """The last second of each day from midnight `start` on, and of what there is of the last day
    before `until`. Days are 86,400 s: Asia/Shanghai has no summer time."""
    return tuple(min(t + DAY_SECONDS, until) - 1 for t in range(start, until, DAY_SECONDS))


#: (pool or zone, dimension) -> what was held at each instant
_Held = Mapping[tuple[str, str], Sequence[int]]


def _held(
    session: Session,
    instants: Sequence[int],
    place: Any,
    *conditions: sa.ColumnElement[bool],
) -> _Held:
    """What was held at each instant, by `place` and dimension.

    An interval counts from the first instant in it to the last one. The database adds up those that
    share both, and a city's thousands of resources leave few such pairs.
    """
    if not instants:
        return {}
    first, last, count = instants[0], instants[-1], len(instants)
    begins = _position(UsageInterval.t0, first).label("begins")
    is_open = sa.or_(UsageInterval.t1.is_(None), UsageInterval.t1 > last)
    ends = sa.case((is_open, count), else_=_position(UsageInterval.t1, first)).label("ends")
    spans = (
        sa.select(
            place.label("place"),
            UsageInterval.item.label("item"),
            UsageInterval.quantity.label("quantity"),
            begins,
            ends,
        )
        .join(Resource, Resource.id == UsageInterval.resource_id)
        .where(
            UsageInterval.t0 <= last,
            sa.or_(UsageInterval.t1.is_(None), UsageInterval.t1 > first),
            *conditions,
        )
        .subquery()
    )
    keys = (spans.c.place, spans.c.item, spans.c.begins, spans.c.ends)
    rows = session.execute(sa.select(*keys, sa.func.sum(spans.c.quantity)).group_by(*keys))
    return _added_up(rows, count)


def _position(at: Any, first: int) -> sa.ColumnElement[int]:
    """Index of the first instant at or after `at`: instants are a day apart, only the last of them
    may come sooner."""
    return sa.case((at <= first, 0), else_=(at - first + DAY_SECONDS - 1) // DAY_SECONDS)


def _added_up(rows: Iterable[Any], count: int) -> dict[tuple[str, str], list[int]]:
    held: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * count)
    for place, item, begins, ends, quantity in rows:
        amounts = held[place, item]
        for i in range(begins, ends):
            amounts[i] += int(quantity)
    return held


def _series(
    held: _Held, bounds: Mapping[str, Mapping[str, int]], count: int
) -> dict[str, list[HeldSeries]]:
    """Each place with every dimension that it holds or that bounds it."""
    keys = {*held, *((place, d) for place, of_place in bounds.items() for d in of_place)}
    series: dict[str, list[HeldSeries]] = defaultdict(list)
    for place, dimension in sorted(keys):
        amounts = tuple(held.get((place, dimension), [0] * count))
        bound = bounds.get(place, {}).get(dimension)
        series[place].append(HeldSeries(dimension, amounts, bound))
    return dict(series)
