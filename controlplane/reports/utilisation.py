"""What resources used beside what they held: by the hour, and of a month."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.clock import HOUR_SECONDS
from controlplane.db import in_chunks
from controlplane.metering.models import UsageInterval, UseHour

CHART_HOURS = 24
CPU, MEMORY = "vcpu", "memory_mib"


@dataclass(frozen=True)
class Used:
    """Means over all samples, and the largest one; CPU in thousandths of a core."""

    cpu_millicores_mean: int
    cpu_millicores_peak: int
    memory_mib_mean: int
    memory_mib_peak: int

    def of_item(self, item: str) -> tuple[int, int] | None:
        """(mean, peak) of a metered item; None for one of which no use is known."""
        if item == CPU:
            return self.cpu_millicores_mean, self.cpu_millicores_peak
        if item == MEMORY:
            return self.memory_mib_mean, self.memory_mib_peak
        return None


@dataclass(frozen=True)
class HourUse:
    """An hour (epoch seconds) of a resource; `used` None: nobody told."""

    hour: int
    vcpu_held: int
    memory_mib_held: int
    used: Used | None


def use_by_resource(
    session: Session, resource_ids: Iterable[str], start: int, until: int
) -> dict[str, Used]:
    """Of the hours in [start, until); nothing for a resource of which nobody told."""
    return {
        row.resource_id: _used(row)
        for chunk in in_chunks(list(resource_ids))
        for row in session.execute(
            sa.select(
                UseHour.resource_id,
                sa.func.sum(UseHour.samples).label("samples"),
                sa.func.sum(UseHour.cpu_millicores_sum).label("cpu_millicores_sum"),
                sa.func.max(UseHour.cpu_millicores_max).label("cpu_millicores_max"),
                sa.func.sum(UseHour.memory_mib_sum).label("memory_mib_sum"),
                sa.func.max(UseHour.memory_mib_max).label("memory_mib_max"),
            )
            .where(
                UseHour.resource_id.in_(chunk),
                UseHour.hour >= start,
                UseHour.hour < until,
            )
            .group_by(UseHour.resource_id)
        )
    }


def use_by_hour(
    session: Session, resource_id: str, intervals: Sequence[UsageInterval], now: int
) -> list[HourUse]:
    """The last 24 hours, the running one included; empty if nobody told of any."""
    last = now - now % HOUR_SECONDS
    hours = range(last - (CHART_HOURS - 1) * HOUR_SECONDS, last + 1, HOUR_SECONDS)
    rows = {
        row.hour: row
        for row in session.scalars(
            sa.select(UseHour).where(UseHour.resource_id == resource_id, UseHour.hour >= hours[0])
        )
    }
    if not rows:
        return []
    return [
        HourUse(
            hour,
            held_in(intervals, CPU, hour),
            held_in(intervals, MEMORY, hour),
            _used(rows[hour]) if hour in rows else None,
        )
        for hour in hours
    ]


def held_in(intervals: Iterable[UsageInterval], item: str, hour: int) -> int:
    """What was held last in an hour."""
    end = hour + HOUR_SECONDS
    held = [
        interval
        for interval in intervals
        if interval.item == item
        and interval.t0 < end
        and (interval.t1 is None or interval.t1 > hour)
    ]
    return max(held, key=lambda interval: interval.t0).quantity if held else 0


def _used(row: Any) -> Used:
    """Of an hour, or of several added up."""
    samples = int(row.samples)
    return Used(
        round(int(row.cpu_millicores_sum) / samples),
        int(row.cpu_millicores_max),
        round(int(row.memory_mib_sum) / samples),
        int(row.memory_mib_max),
    )
