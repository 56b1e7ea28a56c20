"""Use cases of metering: intervals opened and closed in the transaction of the state change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.clock import epoch_seconds
from controlplane.metering.models import Price, UsageInterval
from controlplane.metering.rules import PriceSegment, price_segments, quote_month


def meter(
    session: Session,
    *,
    resource_id: str,
    department_id: int,
    request_number: str,
    held: Mapping[str, int],
    at: datetime,
) -> None:
    """From `at` on the resource holds `held` (item -> quantity; an item left out is held no more).

    Items whose quantity does not change keep their interval. An interval that would be empty (two
    changes in one second) is taken back.
    """
    second = epoch_seconds(at)
    open_rows = {
        row.item: row
        for row in session.scalars(
            sa.select(UsageInterval).where(
                UsageInterval.resource_id == resource_id, UsageInterval.t1.is_(None)
            )
        )
    }
    for item, row in open_rows.items():
        if held.get(item, 0) != row.quantity:
            if second > row.t0:
                row.t1 = second
            else:
                session.delete(row)
    session.flush()
    for item, quantity in held.items():
        kept = open_rows.get(item)
        if quantity > 0 and (kept is None or kept.quantity != quantity):
            session.add(
                UsageInterval(
                    resource_id=resource_id,
                    department_id=department_id,
                    request_number=request_number,
                    item=item,
                    quantity=quantity,
                    t0=second,
                    t1=None,
                    learned_at=second,
                )
            )
    session.flush()


def load_segments(session: Session) -> dict[str, list[PriceSegment]]:
    """Every price segment by item."""
    rows = session.execute(
        sa.select(Price.item, Price.micro_yuan_per_hour, Price.unit_quantity, Price.t0)
    )
    return price_segments((item, micro, unit, t0) for item, micro, unit, t0 in rows)


def quotes(
    segments: Mapping[str, list[PriceSegment]],
    capacities: Iterable[Mapping[str, int]],
    at: datetime,
) -> list[int]:
    """Micro-yuan a month (730 hours) for holding each of several capacities."""
    second = epoch_seconds(at)
    return [sum(quote_month(held, segments, second).values()) for held in capacities]


def quote(session: Session, capacity: Mapping[str, int], at: datetime) -> dict[str, int]:
    """Micro-yuan a month (730 hours) per item for holding `capacity` at today's prices."""
    return quote_month(capacity, load_segments(session), epoch_seconds(at))
