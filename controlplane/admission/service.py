"""Use cases of admission: hold, allocate, settle and release, by conditional updates of counters.

A counter row is changed by one UPDATE that states its own bound, in the transaction of the claim
row: no number of writers can over-commit, and no sum over claims is ever needed to admit one.
`_shift` alone changes counters, and takes them in one order for everybody (the pool's, then the
quotas', each by id): two writers never wait for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.admission.models import Claim, Pool, PoolBound, QuotaBound
from controlplane.admission.rules import Bound, ClaimState, Vector, shortfalls
from controlplane.engines import engine_of_pool
from controlplane.errors import AdmissionRefused, Fault
from controlplane.tenancy.models import Department


@dataclass(frozen=True)
class UpgradeMember:
    """The member of an upgrade that claims, where no request does."""

    id: int


#: What claims: a request, by its id, or a member of an upgrade.
Cause = int | UpgradeMember


@dataclass(frozen=True)
class Claimant:
    """For whom capacity is claimed: what asks, the resource it is for."""

    cause: Cause
    resource_id: str
    department: Department
    zone: str


@dataclass(frozen=True)
class _Counters:
    """On which rows a claim counts: its pool's, and those of every quota above its department."""

    pool_code: str
    department: Department
    zone: str


#: What becomes of a dimension's counters: (held, allocated).
_Moves = Mapping[str, tuple[int, int]]


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
            .where(
                Pool.zone == zone,
                Pool.engine == engine_of_pool(engine),
                Pool.active.is_(True),
            )
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
    rows = list(quotas)
    faults = _pool_faults(pool, asked) + _missing_quotas(rows, asked)
    for row in rows:
        faults += _quota_faults(row, asked.get(row.dimension, 0))
    return faults


def _pool_faults(pool: Pool, asked: Vector) -> list[Fault]:
    return [
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


def _missing_quotas(rows: Iterable[QuotaBound], asked: Vector) -> list[Fault]:
    bounded = {row.dimension for row in rows}
    return [
        Fault("quota_missing", "", {"dimension": d})
        for d, amount in sorted(asked.items())
        if amount > 0 and d not in bounded
    ]


def _quota_faults(row: QuotaBound, asked: int) -> list[Fault]:
    return [
        Fault(
            "quota_short",
            "",
            {
                "department": {"zh": row.department.name_zh, "en": row.department.name_en},
                "dimension": s.dimension,
                "asked": s.asked,
                "free": s.free,
                "capacity": s.capacity,
            },
        )
        for s in shortfalls({row.dimension: asked}, [bound_of(row)])
    ]


@dataclass(frozen=True)
class Demand:
    """What one of many asks for at the same time, in one pool, for one department."""

    pool: Pool
    department: Department
    zone: str
    asked: Vector


def faults_together(session: Session, demands: Iterable[Demand]) -> list[Fault]:
    """Why they do not all fit, each bound asked once for their sum; what one gives back, which it
    does only when it is done, is no room for another."""
    pools: dict[str, tuple[Pool, Counter[str]]] = {}
    quotas: dict[int, tuple[QuotaBound, Counter[str]]] = {}
    missing: dict[str, Fault] = {}
    for demand in demands:
        growing = {d: amount for d, amount in demand.asked.items() if amount > 0}
        pools.setdefault(demand.pool.code, (demand.pool, Counter()))[1].update(growing)
        rows = quota_bounds(session, demand.department, demand.zone) if growing else []
        for row in rows:
            amount = growing.get(row.dimension, 0)
            quotas.setdefault(row.id, (row, Counter()))[1].update({row.dimension: amount})
        for fault in _missing_quotas(rows, growing):
            missing[str(fault.params["dimension"])] = fault
    faults = [fault for pool, asked in pools.values() for fault in _pool_faults(pool, asked)]
    faults += missing.values()
    for row, asked in quotas.values():
        faults += _quota_faults(row, asked[row.dimension])
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
    counters = _Counters(pool.code, claimant.department, claimant.zone)
    growing = {d: (amount, 0) for d, amount in asked.items() if amount > 0}
    if not _shift(session, counters, growing, within_bounds=True):
        # Somebody was quicker: read again for a message that tells the truth.
        for row in (*pool.bounds, *quotas):
            session.refresh(row)
        raise AdmissionRefused(admission_faults(pool, quotas, asked) or [Fault("edited_meanwhile")])
    _write_claims(session, claimant, pool, asked, now)


def _write_claims(
    session: Session, claimant: Claimant, pool: Pool, asked: Vector, now: datetime
) -> None:
    """A request held again after a return reuses its claim rows."""
    existing = {c.dimension: c for c in _claims(session, claimant.cause)}
    for dimension, amount in sorted(asked.items()):
        claim = existing.get(dimension)
        if claim is None:
            claim = Claim(**_named(claimant.cause), dimension=dimension)
            session.add(claim)
        claim.resource_id = claimant.resource_id
        claim.department_id = claimant.department.id
        claim.pool_code, claim.zone = pool.code, claimant.zone
        claim.amount, claim.state, claim.changed_at = amount, ClaimState.HELD, now
    session.flush()


def allocate(session: Session, cause: Cause, now: datetime) -> None:
    """Turns a hold into an allocation, at approval. What shrinks stays for `settle`."""
    growing = [c for c in _claims(session, cause) if _is_held(c) and c.amount > 0]
    _shift_claims(session, growing, {c.dimension: (-c.amount, c.amount) for c in growing})
    _mark(session, growing, ClaimState.ALLOCATED, now)


def settle(session: Session, cause: Cause, now: datetime) -> None:
    """Gives back what a finished change made smaller."""
    shrinking = [c for c in _claims(session, cause) if _is_held(c) and c.amount < 0]
    _shift_claims(session, shrinking, {c.dimension: (0, c.amount) for c in shrinking})
    _mark(session, shrinking, ClaimState.ALLOCATED, now)


def release_request(session: Session, cause: Cause, now: datetime) -> None:
    """Gives back all that a request or a member holds or has: refused, withdrawn, returned, failed
    for good."""
    claims = _claims(session, cause)
    moves = {}
    for claim in claims:
        if claim.state == ClaimState.ALLOCATED:
            moves[claim.dimension] = (0, -claim.amount)
        elif _is_held(claim) and claim.amount > 0:
            moves[claim.dimension] = (-claim.amount, 0)
    _shift_claims(session, claims, moves)
    _mark(session, claims, ClaimState.RELEASED, now)


def release_resource(session: Session, resource_id: str, now: datetime) -> None:
    """Gives back all that a destroyed resource had, net of its changes."""
    claims = session.scalars(
        sa.select(Claim).where(
            Claim.resource_id == resource_id, Claim.state == ClaimState.ALLOCATED
        )
    ).all()
    net: dict[str, int] = {}
    for claim in claims:
        net[claim.dimension] = net.get(claim.dimension, 0) + claim.amount
    _shift_claims(session, claims, {d: (0, -amount) for d, amount in net.items()})
    _mark(session, claims, ClaimState.RELEASED, now)


def _is_held(claim: Claim) -> bool:
    return claim.state == ClaimState.HELD


def _mark(session: Session, claims: Iterable[Claim], state: ClaimState, now: datetime) -> None:
    for claim in claims:
        claim.state, claim.changed_at = state, now
    session.flush()


def _named(cause: Cause) -> dict[str, int]:
    if isinstance(cause, UpgradeMember):
        return {"upgrade_member_id": cause.id}
    return {"request_id": cause}


def held_for(session: Session, cause: Cause) -> dict[str, int]:
    """What is held for a cause and not yet allocated, by dimension."""
    return {c.dimension: c.amount for c in _claims(session, cause) if _is_held(c)}


def _claims(session: Session, cause: Cause) -> list[Claim]:
    return list(
        session.scalars(
            sa.select(Claim).filter_by(**_named(cause)).order_by(Claim.dimension).with_for_update()
        )
    )


def _shift_claims(session: Session, claims: Sequence[Claim], moves: _Moves) -> None:
    """Moves the counters of claims that stand in the same place: one request's or resource's."""
    if moves:
        department = session.get_one(Department, claims[0].department_id)
        counters = _Counters(claims[0].pool_code, department, claims[0].zone)
        _shift(session, counters, moves)


def _shift(
    session: Session, counters: _Counters, moves: _Moves, *, within_bounds: bool = False
) -> bool:
    """Moves counters; `within_bounds`: returns False at the first row that would pass its bound,
    and the caller must roll back."""
    of_pool = sa.select(PoolBound.id, PoolBound.dimension).where(
        PoolBound.pool_code == counters.pool_code, PoolBound.dimension.in_(list(moves))
    )
    of_quotas = sa.select(QuotaBound.id, QuotaBound.dimension).where(
        QuotaBound.department_id.in_(counters.department.ancestor_ids()),
        QuotaBound.zone == counters.zone,
        QuotaBound.dimension.in_(list(moves)),
    )
    # The quotas are read once the pool's rows are ours: one declared meanwhile is counted on too.
    return _shift_rows(session, PoolBound, of_pool, moves, within_bounds) and _shift_rows(
        session, QuotaBound, of_quotas, moves, within_bounds
    )


def _shift_rows(
    session: Session,
    table: type[PoolBound] | type[QuotaBound],
    rows: sa.Select[int, str],
    moves: _Moves,
    within_bounds: bool,
) -> bool:
    for row_id, dimension in session.execute(rows.order_by(table.id)).all():
        held, allocated = moves[dimension]
        change = sa.update(table).where(table.id == row_id)
        if within_bounds:
            change = change.where(table.held + table.allocated + held + allocated <= table.capacity)
        done = session.execute(
            change.values(held=table.held + held, allocated=table.allocated + allocated)
            .returning(table.id)
            .execution_options(synchronize_session=False)
        ).scalar()
        if done is None:
            return False
    return True


def lock_counters(session: Session) -> None:
    """Keeps every counter as it is until the transaction ends, taken in the order of `_shift`."""
    for table in (PoolBound, QuotaBound):
        session.execute(sa.select(table.id).order_by(table.id).with_for_update()).all()
