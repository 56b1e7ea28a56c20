"""Whether the counters are the sum of the live claims: asked by `controlplane check`, by whoever
applies quotas, and by tests. Admission itself never needs that sum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.admission.models import Claim, PoolBound, QuotaBound
from controlplane.admission.rules import ClaimState
from controlplane.tenancy.models import Department


def counter_differences(session: Session) -> list[dict[str, Any]]:
    """Rows whose counters are not the sum of live claims; empty when the books are right."""
    sums = _claim_sums(session)
    rows = session.execute(sa.select(Department.id, Department.path))
    paths = {row.id: row.path for row in rows}
    wrong: list[dict[str, Any]] = []
    for bound in session.scalars(sa.select(PoolBound)):
        held, allocated = _sum(
            s for s in sums if s.pool_code == bound.pool_code and s.dimension == bound.dimension
        )
        if (held, allocated) != (bound.held, bound.allocated):
            wrong.append(_difference(f"pool {bound.pool_code}", bound, held, allocated))
    for quota in session.scalars(sa.select(QuotaBound)):
        root = paths[quota.department_id]
        held, allocated = _sum(
            s
            for s in sums
            if paths[s.department_id].startswith(root)
            and s.zone == quota.zone
            and s.dimension == quota.dimension
        )
        if (held, allocated) != (quota.held, quota.allocated):
            name = f"quota {quota.department.code}/{quota.zone}"
            wrong.append(_difference(name, quota, held, allocated))
    return wrong


def _claim_sums(session: Session) -> Sequence[Any]:
    live = sa.case(
        (sa.and_(Claim.state == ClaimState.HELD, Claim.amount < 0), 0), else_=Claim.amount
    )
    return session.execute(
        sa.select(
            Claim.pool_code,
            Claim.department_id,
            Claim.zone,
            Claim.dimension,
            Claim.state,
            sa.func.sum(live).label("amount"),
        )
        .where(Claim.state != ClaimState.RELEASED)
        .group_by(Claim.pool_code, Claim.department_id, Claim.zone, Claim.dimension, Claim.state)
    ).all()


def _sum(sums: Iterable[Any]) -> tuple[int, int]:
    held = allocated = 0
    for row in sums:
        if row.state == ClaimState.HELD:
            held += int(row.amount)
        else:
            allocated += int(row.amount)
    return held, allocated


def _difference(
    name: str, bound: PoolBound | QuotaBound, held: int, allocated: int
) -> dict[str, Any]:
    return {
        "bound": name,
        "dimension": bound.dimension,
        "held": bound.held,
        "held_by_claims": held,
        "allocated": bound.allocated,
        "allocated_by_claims": allocated,
    }
