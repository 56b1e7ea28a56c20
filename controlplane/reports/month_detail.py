"""One resource's month, down to the interval, and the months that have anything in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.clock import epoch_seconds, month_bounds
from controlplane.errors import NotFound
from controlplane.metering.models import UsageInterval
from controlplane.metering.rules import LedgerLine, Usage, rate
from controlplane.metering.service import load_segments
from controlplane.policy import Subject
from controlplane.provisioning.models import Resource
from controlplane.reports.scope import departments_in
from controlplane.reports.utilisation import Used, use_by_resource


@dataclass(frozen=True)
class IntervalCost:
    """An interval cut to the month, and what it alone would cost."""

    interval: UsageInterval
    t0: int
    t1: int
    is_open: bool
    micro_yuan: int


@dataclass(frozen=True)
class ResourceMonthDetail:
    """`lines` are the ledger's; `intervals` what they are made of; `used` None: nobody told."""

    resource: Resource
    lines: list[LedgerLine]
    intervals: list[IntervalCost]
    used: Used | None

    @property
    def micro_yuan(self) -> int:
        return sum(line.micro_yuan for line in self.lines)


def resource_month(
    session: Session, subject: Subject, resource_id: str, year: int, month: int, now: datetime
) -> ResourceMonthDetail:
    """Errors: NotFound, also when it is not for this person."""
    if not (2000 <= year <= 2999 and 1 <= month <= 12):
        raise NotFound
    start, end = (epoch_seconds(t) for t in month_bounds(year, month))
    until = min(end, epoch_seconds(now))
    resource = session.get(Resource, resource_id)
    rows = session.scalars(
        sa.select(UsageInterval)
        .where(
            UsageInterval.resource_id == resource_id,
            departments_in(subject, "month.view", UsageInterval.department_id),
            UsageInterval.t0 < until,
            sa.or_(UsageInterval.t1.is_(None), UsageInterval.t1 > start),
        )
        .order_by(UsageInterval.item, UsageInterval.t0)
    ).all()
    if resource is None or not rows:
        raise NotFound
    segments = load_segments(session)
    usages, intervals = [], []
    for row in rows:
        t0, t1 = max(row.t0, start), until if row.t1 is None else min(row.t1, until)
        usage = Usage(row.item, row.quantity, t0, t1)
        usages.append(usage)
        alone = sum(line.micro_yuan for line in rate([usage], segments, (start, until)))
        is_open = row.t1 is None and until < end
        intervals.append(IntervalCost(row, t0, t1, is_open, alone))
    used = use_by_resource(session, [resource_id], start, until).get(resource_id)
    return ResourceMonthDetail(resource, rate(usages, segments, (start, until)), intervals, used)
