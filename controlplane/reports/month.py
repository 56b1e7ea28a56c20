"""The month: what each department held and what it cost, down to the interval."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.clock import LOCAL_ZONE, epoch_seconds, from_epoch, month_bounds
from controlplane.db import in_chunks
from controlplane.errors import NotFound
from controlplane.metering.models import UsageInterval
from controlplane.metering.rules import (
    LedgerLine,
    PriceSegment,
    Usage,
    cost_micro_yuan,
    rate,
)
from controlplane.metering.service import load_segments
from controlplane.policy import Subject
from controlplane.provisioning.models import Resource
from controlplane.reports.rules import DAY_SECONDS, unit_seconds_by_day
from controlplane.reports.scope import departments_in
from controlplane.reports.utilisation import Used, use_by_resource
from controlplane.tenancy.models import Department


@dataclass
class DepartmentMonth:
    """`unit_seconds` is quantity x seconds per item; `micro_yuan` the sum of its ledger lines."""

    department: Department
    micro_yuan: int = 0
    resources: int = 0
    micro_yuan_by_item: dict[str, int] = field(default_factory=dict)
    unit_seconds: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ResourceMonth:
    """`used` None: of what it used nobody told."""

    resource: Resource
    lines: list[LedgerLine]
    used: Used | None

    @property
    def micro_yuan(self) -> int:
        return sum(line.micro_yuan for line in self.lines)


@dataclass(frozen=True)
class Month:
    year: int
    month: int
    start: int
    end: int
    until: int  # end of what is counted: now, or the month's end
    departments: list[DepartmentMonth]

    @property
    def micro_yuan(self) -> int:
        return sum(d.micro_yuan for d in self.departments)

    @property
    def is_running(self) -> bool:
        return self.until < self.end


def _window(year: int, month: int, now: datetime) -> tuple[int, int, int]:
    """(start, end, until) in epoch seconds. Errors: NotFound for a month that is not one."""
    if not (2000 <= year <= 2999 and 1 <= month <= 12):
        raise NotFound
    start, end = (epoch_seconds(t) for t in month_bounds(year, month))
    return start, end, max(start, min(end, epoch_seconds(now)))


def _usages(
    session: Session, window: tuple[int, int], *conditions: sa.ColumnElement[bool]
) -> dict[tuple[int, str], list[Usage]]:
    """Usage cut to the window, by (department, resource)."""
    _, until = window
    rows = session.execute(
        sa.select(
            UsageInterval.department_id,
            UsageInterval.resource_id,
            UsageInterval.item,
            UsageInterval.quantity,
            UsageInterval.t0,
            UsageInterval.t1,
        ).where(*_within(window), *conditions)
    )
    grouped: dict[tuple[int, str], list[Usage]] = defaultdict(list)
    for department_id, resource_id, item, quantity, t0, t1 in rows:
        end = until if t1 is None else min(t1, until)
        if end > t0:
            grouped[department_id, resource_id].append(Usage(item, quantity, t0, end))
    return grouped


def month_of(session: Session, subject: Subject, year: int, month: int, now: datetime) -> Month:
    """The month by department, the dearest first; every figure is the sum of its ledger lines."""
    start, end, until = _window(year, month, now)
    scope = departments_in(subject, "month.view", UsageInterval.department_id)
    segments = load_segments(session)
    cost: dict[tuple[int, str], int] = defaultdict(int)
    unit_seconds: dict[tuple[int, str], int] = defaultdict(int)
    for window, prices in _priced_windows(segments, start, until).items():
        for department_id, item, units, lines in _held(session, window, prices, scope):
            cost[department_id, item] += lines * cost_micro_yuan(int(units), prices[item])
            unit_seconds[department_id, item] += lines * int(units)
    names = {d.id: d for d in session.scalars(sa.select(Department))}
    counted = _resources_held(session, (start, until), scope)
    totals = {
        department_id: DepartmentMonth(names[department_id], resources=counted[department_id])
        for department_id, _ in cost
    }
    for (department_id, item), micro_yuan in cost.items():
        total = totals[department_id]
        total.micro_yuan += micro_yuan
        total.micro_yuan_by_item[item] = micro_yuan
        total.unit_seconds[item] = unit_seconds[department_id, item]
    rows = sorted(totals.values(), key=lambda d: (-d.micro_yuan, d.department.path))
    return Month(year, month, start, end, until, rows)


def cost_to_come(session: Session, subject: Subject, month: Month) -> int:
    """What the rest of a running month costs if all that is held now is held to its end, at the
    prices declared for it: micro-yuan."""
    if not month.is_running:
        return 0
    scope = departments_in(subject, "month.view", UsageInterval.department_id)
    held = session.execute(
        sa.select(UsageInterval.item, sa.func.sum(UsageInterval.quantity))
        .where(UsageInterval.t1.is_(None), scope)
        .group_by(UsageInterval.item)
    )
    quantities = {item: int(quantity) for item, quantity in held}
    windows = _priced_windows(load_segments(session), month.until, month.end)
    return sum(
        cost_micro_yuan(quantities.get(item, 0) * (end - start), price)
        for (start, end), prices in windows.items()
        for item, price in prices.items()
    )


def _priced_windows(
    segments: Mapping[str, Sequence[PriceSegment]], start: int, until: int
) -> dict[tuple[int, int], dict[str, PriceSegment]]:
    """The parts of [start, until) in which each item has one price, with those prices."""
    windows: dict[tuple[int, int], dict[str, PriceSegment]] = defaultdict(dict)
    for item, prices in segments.items():
        for price in prices:
            window = (max(start, price.t0), until if price.t1 is None else min(until, price.t1))
            if window[0] < window[1]:
                windows[window][item] = price
    return windows


def _held(
    session: Session,
    window: tuple[int, int],
    items: Iterable[str],
    scope: sa.ColumnElement[bool],
) -> Iterable[Any]:
    """(department, item, quantity x seconds, how many lines of so much) within a window.

    A line is what a resource held of an item. Added up by the database, lines of the same amount
    told once: a city has tens of thousands a month, and most resources live all of it.
    """
    start, until = window
    t0 = sa.case((UsageInterval.t0 > start, UsageInterval.t0), else_=start)
    t1 = sa.case((UsageInterval.t1 < until, UsageInterval.t1), else_=until)
    lines = (
        sa.select(
            UsageInterval.department_id,
            UsageInterval.item,
            sa.func.sum(UsageInterval.quantity * (t1 - t0)).label("units"),
        )
        .where(UsageInterval.item.in_(list(items)), *_within(window), scope)
        .group_by(UsageInterval.department_id, UsageInterval.resource_id, UsageInterval.item)
        .subquery()
    )
    alike = (lines.c.department_id, lines.c.item, lines.c.units)
    return session.execute(sa.select(*alike, sa.func.count()).group_by(*alike))


def _resources_held(
    session: Session, window: tuple[int, int], scope: sa.ColumnElement[bool]
) -> dict[int, int]:
    """How many resources of each department held something within a window."""
    resources = sa.func.count(UsageInterval.resource_id.distinct())
    rows = session.execute(
        sa.select(UsageInterval.department_id, resources)
        .where(*_within(window), scope)
        .group_by(UsageInterval.department_id)
    )
    return {row[0]: row[1] for row in rows}


def _within(window: tuple[int, int]) -> tuple[sa.ColumnElement[bool], ...]:
    start, until = window
    return (
        UsageInterval.t0 < until,
        sa.or_(UsageInterval.t1.is_(None), UsageInterval.t1 > start),
    )


def department_month(
    session: Session, subject: Subject, department_id: int, year: int, month: int, now: datetime
) -> list[ResourceMonth]:
    """A department's resources in the month with their ledger lines, the dearest first."""
    start, _, until = _window(year, month, now)
    scope = departments_in(subject, "month.view", UsageInterval.department_id)
    mine = UsageInterval.department_id == department_id
    segments = load_segments(session)
    grouped = _usages(session, (start, until), scope, mine)
    ids = [resource_id for _, resource_id in grouped]
    resources = {
        r.id: r
        for chunk in in_chunks(ids)
        for r in session.scalars(sa.select(Resource).where(Resource.id.in_(chunk)))
    }
    used = use_by_resource(session, ids, start, until)
    rows = [
        ResourceMonth(
            resources[resource_id],
            rate(usages, segments, (start, until)),
            used.get(resource_id),
        )
        for (_, resource_id), usages in grouped.items()
    ]
    return sorted(rows, key=lambda r: (-r.micro_yuan, r.resource.number))


def resource_cost_by_day(
    session: Session, resource_id: str, now: datetime, days: int = 30
) -> list[tuple[str, int]]:
    """(day of Asia/Shanghai, micro-yuan) of the last `days` days, for a resource's chart."""
    segments = load_segments(session)
    today = now.astimezone(LOCAL_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=days - 1)
    window = (epoch_seconds(first), epoch_seconds(now))
    condition = UsageInterval.resource_id == resource_id
    usages = [u for us in _usages(session, window, condition).values() for u in us]
    series = []
    for i in range(days):
        day = first + timedelta(days=i)
        bounds = (epoch_seconds(day), min(epoch_seconds(day + timedelta(days=1)), window[1]))
        cost = sum(line.micro_yuan for line in rate(usages, segments, bounds))
        series.append((day.strftime("%m-%d"), cost))
    return series


def city_cost_by_day(
    session: Session, subject: Subject, year: int, month: int, now: datetime
) -> list[tuple[str, dict[str, int]]]:
    """(day, micro-yuan per item) of the month so far: the chart of the month's page.

    Each day is rated over the sum of all resources, so a day may differ from the ledger by the
    rounding of its lines (below one micro-yuan a line). Prices change at midnight, never in a day.
    """
    start, _, until = _window(year, month, now)
    scope = departments_in(subject, "month.view", UsageInterval.department_id)
    segments = load_segments(session)
    days = range(start, until, DAY_SECONDS)
    usages = _summed_usages(session, (start, until), scope)
    return [
        (
            from_epoch(day).astimezone(LOCAL_ZONE).strftime("%m-%d"),
            _cost_of_day(held, segments, day),
        )
        for day, held in zip(days, unit_seconds_by_day(usages, start, len(days)), strict=True)
    ]


def _cost_of_day(
    unit_seconds: dict[str, int], segments: Mapping[str, Sequence[PriceSegment]], day: int
) -> dict[str, int]:
    cost = {}
    for item, amount in unit_seconds.items():
        for segment in segments.get(item, ()):
            if segment.t0 <= day and (segment.t1 is None or day < segment.t1):
                cost[item] = cost_micro_yuan(amount, segment)
    return cost


def _summed_usages(
    session: Session, window: tuple[int, int], *conditions: sa.ColumnElement[bool]
) -> list[Usage]:
    """Usage cut to the window, quantities of the same item and bounds added by the database: most
    resources live all month, so few rows are left."""
    start, until = window
    t0 = sa.case((UsageInterval.t0 > start, UsageInterval.t0), else_=start)
    t1 = sa.case((UsageInterval.t1 < until, UsageInterval.t1), else_=until)
    rows = session.execute(
        sa.select(UsageInterval.item, sa.func.sum(UsageInterval.quantity), t0, t1)
        .where(*_within(window), *conditions)
        .group_by(UsageInterval.item, t0, t1)
    )
    return [Usage(item, int(quantity), first, last) for item, quantity, first, last in rows]


CSV_HEADER = (
    "部门代码",
    "部门",
    "资源编号",
    "资源",
    "申请单号",
    "服务",
    "计量项",
    "用量（单位·秒）",
    "时长（秒）",
    "平均使用（毫核、MiB）",
    "峰值使用（毫核、MiB）",
    "单价（微元/单位·小时）",
    "金额（元）",
)


def month_csv(session: Session, subject: Subject, year: int, month: int, now: datetime) -> str:
    """Every ledger line of the month, for a spreadsheet: UTF-8 with BOM, money in yuan.

    The sum of the last column is the month's total.
    """
    out = io.StringIO()
    out.write("\ufeff")
    writer = csv.writer(out)
    writer.writerow(CSV_HEADER)
    numbers = _request_numbers(session)
    for total in month_of(session, subject, year, month, now).departments:
        rows = department_month(session, subject, total.department.id, year, month, now)
        for row in rows:
            for line in row.lines:
                writer.writerow(
                    [
                        total.department.code,
                        _safe(total.department.name_zh),
                        row.resource.number,
                        _safe(row.resource.name),
                        numbers.get(row.resource.id, ""),
                        row.resource.service,
                        line.item,
                        line.unit_seconds,
                        line.seconds,
                        *_used_cells(row.used, line.item),
                        line.price.micro_yuan_per_hour,
                        _yuan(line.micro_yuan),
                    ]
                )
    return out.getvalue()


def _used_cells(used: Used | None, item: str) -> tuple[int | str, int | str]:
    """Mean and peak beside what was held; empty where nobody told."""
    return (used.of_item(item) if used else None) or ("", "")


def _request_numbers(session: Session) -> dict[str, str]:
    rows = session.execute(
        sa.select(UsageInterval.resource_id, UsageInterval.request_number).distinct()
    )
    return {row.resource_id: row.request_number for row in rows}


def _safe(text: str) -> str:
    """A cell that a spreadsheet would take for a formula is kept as text."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _yuan(micro_yuan: int) -> str:
    sign, magnitude = ("-" if micro_yuan < 0 else ""), abs(micro_yuan)
    return f"{sign}{magnitude // 1_000_000}.{magnitude % 1_000_000:06d}"
