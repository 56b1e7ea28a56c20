"""Pools and quotas: what is used, held and free, beside what the cloud itself reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.admission.models import Pool, PoolBound, QuotaBound
from controlplane.catalogue.expressions import ExpressionError
from controlplane.catalogue.services import Service
from controlplane.policy import Subject
from controlplane.reports.rules import Fit, how_many_fit
from controlplane.reports.scope import departments_in
from controlplane.tenancy.models import Department


@dataclass(frozen=True)
class QuotaOfDepartment:
    department: Department
    zone: str
    bounds: list[QuotaBound]


@dataclass(frozen=True)
class PlanFit:
    """How many of a service's plan, with the form's defaults, still fit into a pool."""

    service: Service
    plan: Mapping[str, Any]
    capacity: Mapping[str, int]
    fit: Fit


def list_pools(session: Session) -> list[Pool]:
    """Every open pool with its bounds, in declared order."""
    return list(
        session.scalars(sa.select(Pool).where(Pool.active.is_(True)).order_by(Pool.ordinal))
    )


def city_totals(session: Session) -> dict[str, tuple[int, int, int]]:
    """(allocated, held, capacity) per dimension over all open pools."""
    rows = session.execute(
        sa.select(
            PoolBound.dimension,
            sa.func.sum(PoolBound.allocated),
            sa.func.sum(PoolBound.held),
            sa.func.sum(PoolBound.capacity),
        )
        .join(Pool, Pool.code == PoolBound.pool_code)
        .where(Pool.active.is_(True))
        .group_by(PoolBound.dimension)
        .order_by(PoolBound.dimension)
    )
    return {d: (int(a), int(h), int(c)) for d, a, h, c in rows}


def list_quotas(session: Session, subject: Subject) -> list[QuotaOfDepartment]:
    """Quotas of the departments that the person may see, by tree and zone."""
    rows = session.scalars(
        sa.select(QuotaBound)
        .join(Department, Department.id == QuotaBound.department_id)
        .where(departments_in(subject, "quota.view", QuotaBound.department_id))
        .order_by(Department.path, QuotaBound.zone, QuotaBound.dimension)
    ).all()
    grouped: dict[tuple[int, str], QuotaOfDepartment] = {}
    for row in rows:
        key = (row.department_id, row.zone)
        if key not in grouped:
            grouped[key] = QuotaOfDepartment(row.department, row.zone, [])
        grouped[key].bounds.append(row)
    return list(grouped.values())


def capacity_differences(pool: Pool) -> Mapping[str, tuple[int, int]]:
    """Dimensions in which the cloud holds less than is declared: {dimension: (declared, cloud)}.

    Storage is compared as a whole: Placement knows no classes.
    """
    reported = pool.cloud_capacity or {}
    declared: dict[str, int] = {}
    for bound in pool.bounds:
        key = "storage_gib" if bound.dimension.startswith("storage_gib.") else bound.dimension
        declared[key] = declared.get(key, 0) + bound.capacity
    return {
        d: (amount, int(reported[d]))
        for d, amount in declared.items()
        if d in reported and int(reported[d]) < amount
    }


def what_fits(catalogue: Mapping[str, Service], pool: Pool) -> list[PlanFit]:
    """For every plan that may stand in the pool: how many of it alone would still fit."""
    free = {b.dimension: b.capacity - b.held - b.allocated for b in pool.bounds}
    fits = []
    for service in catalogue.values():
        if pool.zone not in service.zones:
            continue
        for code, plan in service.plans_on([pool.engine]).items():
            capacity = _capacity_of_plan(service, code)
            if capacity:
                fits.append(PlanFit(service, plan, capacity, how_many_fit(free, capacity)))
    return fits


def _capacity_of_plan(service: Service, code: str) -> Mapping[str, int]:
    """What the plan takes with the form's defaults; nothing where these alone do not tell it."""
    try:
        return service.capacity_of(service.spec_of({"plan": code}))
    except ExpressionError:
        return {}
