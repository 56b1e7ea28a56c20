"""Use cases of admission: hold, allocate, settle and release, by conditional updates of counters.

A counter row is changed by one UPDATE that states its own bound, in the transaction of the claim
row: no number of writers can over-commit, and no sum over claims is ever needed to admit one.
Rows are always taken in the same order (pool, then quotas by id), so that writers do not deadlock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.admission.models import Claim, Pool, PoolBound, QuotaBound
from controlplane.admission.rules import Bound, ClaimState, Vector, shortfalls
from controlplane.errors import AdmissionRefused, Fault
from controlplane.tenancy.models import Department


@dataclass(frozen=True)
class Claimant:
    """For whom capacity is claimed: the request that asks, the resource it is for."""

    request_id: int
    resource_id: str
    department: Department
    zone: str


def bound_of(row: PoolBound | QuotaBound) -> Bound:
    return Bound(row.dimension, row.capacity, row.held, row.allocated)


def quota_bounds(session: Session, department: Department, zone: str) -> list[QuotaBound]:
    """Quotas that bind a department in a zone: its own and those of every ancestor, by id."""
    return list(
        session.scalars(
            sa.select(QuotaBound)
            .where(QuotaBound.department_id.in_(department.ancestor_ids()), QuotaBound.zone == zone)
            .order_by(QuotaBound.id)
        )
    )


def candidate_pools(session: Session, zone: str, engine: str) -> list[Pool]:
    return list(
        session.scalars(
            sa.select(Pool)
            .where(Pool.zone == zone, Pool.engine == engine, Pool.active.is_(True))
            .order_by(Pool.ordinal, Pool.code)
        )
    )


def choose_pool(pools: Sequence[Pool], asked: Vector) -> Pool | None:
    """The first pool in which `asked` fits, else the one in which the least is short."""
    if not pools:
        return None
    return min(pools, key=lambda p: len(shortfalls(asked, [bound_of(b) for b in p.bounds])))


def admission_faults(pool: Pool | None, quotas: Iterable[QuotaBound], asked: Vector) -> list[Fault]:
    """Every dimension and every bound that is too small, with what is free and what was asked."""
    if pool is None:
        return [Fault("pool_missing")]
    faults = [
        Fault(
            "pool_short",
            "",
            {
                "pool": {"zh": pool.name_zh, "en": pool.name_en},
                "dimension": s.dimension,
                "asked": s.asked,
                "free": s.free,
                "capacity": s.capacity,
            },
        )
        for s in shortfalls(asked, [bound_of(b) for b in pool.bounds])
    ]
    rows = list(quotas)
    bounded = {row.dimension for row in rows}
    faults += [
        Fault("quota_missing", "", {"dimension": d})
        for d, amount in sorted(asked.items())
        if amount > 0 and d not in bounded
    ]
    for row in rows:
        names = {"zh": row.department.name_zh, "en": row.department.name_en}
        faults += [
            Fault(
                "quota_short",
                "",
                {
                    "department": names,
                    "dimension": s.dimension,
                    "asked": s.asked,
                    "free": s.free,
                    "capacity": s.capacity,
                },
            )
            for s in shortfalls({row.dimension: asked.get(row.dimension, 0)}, [bound_of(row)])
        ]
    return faults


def hold(
    session: Session, claimant: Claimant, pool: Pool | None, asked: Vector, now: datetime
) -> None:
    """Holds what a request asks for; a negative amount is noted and given back when it is done.

    Errors: AdmissionRefused with every shortfall; the caller's transaction must then roll back.
    """
    quotas = quota_bounds(session, claimant.department, claimant.zone)
    faults = admission_faults(pool, quotas, asked)
    if faults or pool is None:
        raise AdmissionRefused(faults)
    growing = {d: amount for d, amount in asked.items() if amount > 0}
    if not _add_held(session, pool, quotas, growing):
        # Somebody was quicker: read again for a message that tells the truth.
        for row in (*pool.bounds, *quotas):
            session.refresh(row)
        raise AdmissionRefused(admission_faults(pool, quotas, asked) or [Fault("edited_meanwhile")])
    _write_claims(session, claimant, pool, asked, now)


def _write_claims(
    session: Session, claimant: Claimant, pool: Pool, asked: Vector, now: datetime
) -> None:
    """A request held again after a return reuses its claim rows."""
    existing = {c.dimension: c for c in _claims(session, claimant.request_id)}
    for dimension, amount in sorted(asked.items()):
        claim = existing.get(dimension)
        if claim is None:
            claim = Claim(request_id=claimant.request_id, dimension=dimension)
            session.add(claim)
        claim.resource_id = claimant.resource_id
        claim.department_id = claimant.department.id
        claim.pool_code, claim.zone = pool.code, claimant.zone
        claim.amount, claim.state, claim.changed_at = amount, ClaimState.HELD, now
    session.flush()


def _add_held(session: Session, pool: Pool, quotas: Iterable[QuotaBound], growing: Vector) -> bool:
    for bound in sorted(pool.bounds, key=lambda b: b.id):
        if not _add_one(session, PoolBound, bound.id, growing.get(bound.dimension, 0)):
            return False
    return all(
        _add_one(session, QuotaBound, q.id, growing.get(q.dimension, 0))
        for q in sorted(quotas, key=lambda q: q.id)
    )


def _add_one(
    session: Session, table: type[PoolBound] | type[QuotaBound], row_id: int, amount: int
) -> bool:
    if amount == 0:
        return True
    done = session.execute(
        sa.update(table)
        .where(table.id == row_id, table.held + table.allocated + amount <= table.capacity)
        .values(held=table.held + amount)
        .returning(table.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    return done is not None


def allocate(session: Session, request_id: int, now: datetime) -> None:
    """Turns a request's hold into an allocation, at approval. What shrinks stays for `settle`."""
    claims = [c for c in _claims(session, request_id) if c.state == ClaimState.HELD]
    for claim in claims:
        if claim.amount > 0:
            _shift(session, claim, held=-claim.amount, allocated=claim.amount)
            claim.state, claim.changed_at = ClaimState.ALLOCATED, now
    session.flush()


def settle(session: Session, request_id: int, now: datetime) -> None:
    """Gives back what a finished change made smaller."""
    for claim in _claims(session, request_id):
        if claim.state == ClaimState.HELD and claim.amount < 0:
            _shift(session, claim, held=0, allocated=claim.amount)
            claim.state, claim.changed_at = ClaimState.ALLOCATED, now
    session.flush()


def release_request(session: Session, request_id: int, now: datetime) -> None:
    """Gives back all that a request holds or has: refused, withdrawn, returned, failed for good."""
    for claim in _claims(session, request_id):
        if claim.state == ClaimState.HELD and claim.amount > 0:
            _shift(session, claim, held=-claim.amount, allocated=0)
        elif claim.state == ClaimState.ALLOCATED:
            _shift(session, claim, held=0, allocated=-claim.amount)
        claim.state, claim.changed_at = ClaimState.RELEASED, now
    session.flush()


def release_resource(session: Session, resource_id: str, now: datetime) -> None:
    """Gives back all that a destroyed resource had, net of its changes."""
    claims = session.scalars(
        sa.select(Claim)
        .where(Claim.resource_id == resource_id, Claim.state == ClaimState.ALLOCATED)
        .order_by(Claim.dimension, Claim.id)
    ).all()
    # Largest first, so that no counter passes below zero on the way.
    net: dict[str, int] = {}
    for claim in claims:
        net[claim.dimension] = net.get(claim.dimension, 0) + claim.amount
        claim.state, claim.changed_at = ClaimState.RELEASED, now
    for claim in {c.dimension: c for c in claims}.values():
        _shift(session, claim, held=0, allocated=-net[claim.dimension])
    session.flush()


def _claims(session: Session, request_id: int) -> list[Claim]:
    return list(
        session.scalars(
            sa.select(Claim)
            .where(Claim.request_id == request_id)
            .order_by(Claim.dimension)
            .with_for_update()
        )
    )


def _shift(session: Session, claim: Claim, *, held: int, allocated: int) -> None:
    """Moves counters of the claim's pool and of every quota above its department."""
    session.execute(
        sa.update(PoolBound)
        .where(PoolBound.pool_code == claim.pool_code, PoolBound.dimension == claim.dimension)
        .values(held=PoolBound.held + held, allocated=PoolBound.allocated + allocated)
        .execution_options(synchronize_session=False)
    )
    department = session.get_one(Department, claim.department_id)
    ids = session.scalars(
        sa.select(QuotaBound.id)
        .where(
            QuotaBound.department_id.in_(department.ancestor_ids()),
            QuotaBound.zone == claim.zone,
            QuotaBound.dimension == claim.dimension,
        )
        .order_by(QuotaBound.id)
    ).all()
    for quota_id in ids:
        session.execute(
            sa.update(QuotaBound)
            .where(QuotaBound.id == quota_id)
            .values(held=QuotaBound.held + held, allocated=QuotaBound.allocated + allocated)
            .execution_options(synchronize_session=False)
        )


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
