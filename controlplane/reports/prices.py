"""Prices: the list itself, what plans and resources cost a month, what resources have cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.catalogue.expressions import ExpressionError
from controlplane.catalogue.services import Service
from controlplane.clock import epoch_seconds
from controlplane.metering.models import Price, UsageInterval
from controlplane.metering.rules import PriceSegment, Usage, quote_month, rate
from controlplane.metering.service import load_segments

Segments = Mapping[str, Sequence[PriceSegment]]


def list_prices(session: Session) -> list[Price]:
    """Every dated price, by item, the newest first."""
    return list(session.scalars(sa.select(Price).order_by(Price.item, Price.t0.desc())))


def item_names(session: Session) -> dict[str, tuple[str, str, str]]:
    """(Chinese, English, unit) of each metered item, from its newest price."""
    rows = session.scalars(sa.select(Price).order_by(Price.t0)).all()
    return {row.item: (row.name_zh, row.name_en, row.unit) for row in rows}


def plan_prices(session: Session, service: Service, now: datetime) -> dict[str, int]:
    """Micro-yuan a month (730 hours) of what each plan itself brings, by plan code."""
    segments = load_segments(session)
    at = epoch_seconds(now)
    return {
        code: sum(quote_month(_amounts(plan), segments, at).values())
        for code, plan in service.plans.items()
    }


def _amounts(plan: Mapping[str, object]) -> dict[str, int]:
    return {k: v for k, v in plan.items() if isinstance(v, int) and not isinstance(v, bool)}


def cheapest_month(segments: Segments, service: Service, now: datetime) -> int | None:
    """Micro-yuan a month of the smallest thing one can order; None when it cannot be told."""
    at = epoch_seconds(now)
    quotes = []
    for code in service.plans or {"": {}}:
        form = {name: _smallest(schema) for name, schema in service.properties.items()}
        if code:
            form["plan"] = code
        try:
            capacity = service.capacity_of(service.spec_of(form))
        except ExpressionError:
            continue
        quotes.append(sum(quote_month(capacity, segments, at).values()))
    return min(quotes, default=None)


def _smallest(schema: Mapping[str, object]) -> object:
    """The least a field can be filled with."""
    if schema.get("type") == "integer":
        return schema.get("minimum", schema.get("default", 1))
    if schema.get("type") == "array":
        return []
    enum = schema.get("enum")
    return schema.get("default", enum[0] if isinstance(enum, list) and enum else "x")


def month_quotes(
    session: Session, capacities: Mapping[str, Mapping[str, int]], now: datetime
) -> dict[str, int]:
    """Micro-yuan a month at today's prices for each of several capacities, by their keys."""
    segments, at = load_segments(session), epoch_seconds(now)
    return {
        key: sum(quote_month(capacity, segments, at).values())
        for key, capacity in capacities.items()
    }


def costs_to_date(session: Session, resource_ids: Iterable[str], now: datetime) -> dict[str, int]:
    """Micro-yuan that each resource has cost since it was delivered."""
    ids, until = list(resource_ids), epoch_seconds(now)
    if not ids:
        return {}
    usages: dict[str, list[Usage]] = {resource_id: [] for resource_id in ids}
    rows = session.execute(
        sa.select(
            UsageInterval.resource_id,
            UsageInterval.item,
            UsageInterval.quantity,
            UsageInterval.t0,
            UsageInterval.t1,
        ).where(UsageInterval.resource_id.in_(ids))
    )
    for resource_id, item, quantity, t0, t1 in rows:
        end = until if t1 is None else min(t1, until)
        if end > t0:
            usages[resource_id].append(Usage(item, quantity, t0, end))
    segments = load_segments(session)
    return {
        resource_id: sum(line.micro_yuan for line in rate(held, segments, (0, until)))
        for resource_id, held in usages.items()
    }
