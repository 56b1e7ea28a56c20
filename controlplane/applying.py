"""`controlplane apply quotas/`: the difference between files and database, and applying it whole.

A department, office or pool that is no longer declared is not removed (requests and bills name it):
a pool is closed to new requests, the others stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import audit
from controlplane.admission.books import counter_differences
from controlplane.admission.models import Pool, PoolBound, QuotaBound
from controlplane.admission.service import lock_counters
from controlplane.approval.models import ApprovalChain
from controlplane.config import Settings
from controlplane.jobs import sync_quota
from controlplane.metering.models import Price
from controlplane.provisioning.models import DepartmentSite
from controlplane.quotas import Declared, micro_yuan, price_start
from controlplane.tenancy.models import Department, Office
from controlplane.tenancy.service import place_in_tree


@dataclass(frozen=True)
class Change:
    """One line of the difference; `before` None: new, `after` None: closed."""

    what: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.what}: {self.after}"
        if self.after is None:
            return f"- {self.what}: {self.before}"
        return f"~ {self.what}: {self.before} -> {self.after}"


def apply_declared(
    session: Session, settings: Settings, declared: Declared, now: datetime
) -> list[Change]:
    """Brings the database in step and returns what changed, in order.

    A preview is the same with the transaction rolled back, so the two cannot disagree.
    """
    changes: list[Change] = []
    lock_counters(session)
    departments = _apply_departments(session, declared, changes)
    _apply_offices(session, declared, departments, changes)
    _apply_pools(session, declared, changes)
    _apply_quotas(session, declared, departments, changes)
    _apply_chains(session, declared, changes)
    _apply_prices(session, declared, changes)
    session.flush()
    _settle_new_counters(session)
    if changes:
        audit.record(
            session,
            audit.SYSTEM,
            "quotas_applied",
            at=now,
            object_type="quotas",
            object_id="quotas",
            changes=[str(c) for c in changes[:200]],
        )
        for site in session.scalars(sa.select(DepartmentSite)):
            sync_quota(session, settings, site, now)
    return changes


def _put(
    changes: list[Change], what: str, row: Any, values: dict[str, Any], make: Callable[[], Any]
) -> Any:
    """Sets `values` on a row or makes it; notes every difference."""
    if row is None:
        row = make()
        for name, value in values.items():
            setattr(row, name, value)
        changes.append(Change(what, None, _short(values)))
        return row
    for name, value in values.items():
        if getattr(row, name) != value:
            changes.append(Change(f"{what} {name}", getattr(row, name), value))
            setattr(row, name, value)
    return row


def _short(values: dict[str, Any]) -> str:
    shown = (f"{k}={v}" for k, v in values.items() if isinstance(v, str | int) and v is not None)
    return ", ".join(shown)


def _names(entry: dict[str, Any]) -> dict[str, Any]:
    return {"name_zh": entry["name"]["zh"], "name_en": entry["name"]["en"]}


def _apply_departments(
    session: Session, declared: Declared, changes: list[Change]
) -> dict[str, Department]:
    rows = {d.code: d for d in session.scalars(sa.select(Department))}
    for entry in declared.departments:
        code = entry["code"]
        parent = rows[entry["parent"]] if "parent" in entry else None
        values = {**_names(entry), "level": entry["level"]}
        values["parent_id"] = parent.id if parent else None
        values["domain"] = entry.get("domain")
        was = rows.get(code)
        row = _put(changes, f"department {code}", was, values, partial(Department, code=code))
        if was is None:
            session.add(row)
            session.flush()
            rows[code] = row
        place_in_tree(session, row)
    return rows


def _apply_offices(
    session: Session,
    declared: Declared,
    departments: dict[str, Department],
    changes: list[Change],
) -> None:
    rows = {o.code: o for o in session.scalars(sa.select(Office))}
    for entry in declared.offices:
        code = entry["code"]
        values = {**_names(entry), "department_id": departments[entry["department"]].id}
        row = _put(changes, f"office {code}", rows.get(code), values, partial(Office, code=code))
        session.add(row)


def _apply_pools(session: Session, declared: Declared, changes: list[Change]) -> None:
    rows = {p.code: p for p in session.scalars(sa.select(Pool))}
    for ordinal, entry in enumerate(declared.pools):
        code = entry["code"]
        values = {
            **_names(entry),
            "zone": entry["zone"],
            "engine": entry["engine"],
            "cloud": entry["cloud"],
            "availability_zone": entry["availability_zone"],
            "warning_percent": entry.get("warning_percent", 80),
            "ordinal": ordinal,
            "active": True,
        }
        pool = _put(changes, f"pool {code}", rows.get(code), values, partial(Pool, code=code))
        session.add(pool)
        session.flush()
        bounds = {b.dimension: b for b in pool.bounds}
        wanted = {**dict.fromkeys(bounds, 0), **entry["capacity"]}
        for dimension, capacity in wanted.items():
            bound = _put(
                changes,
                f"pool {code} {dimension}",
                bounds.get(dimension),
                {"capacity": capacity},
                partial(PoolBound, pool_code=code, dimension=dimension),
            )
            session.add(bound)
        session.flush()
        session.expire(pool, ["bounds"])
    for code in sorted(rows.keys() - {e["code"] for e in declared.pools}):
        if rows[code].active:
            rows[code].active = False
            changes.append(Change(f"pool {code}", "open", None))


def _apply_quotas(
    session: Session,
    declared: Declared,
    departments: dict[str, Department],
    changes: list[Change],
) -> None:
    rows = {
        (q.department_id, q.zone, q.dimension): q for q in session.scalars(sa.select(QuotaBound))
    }
    wanted: dict[tuple[int, str, str], int] = dict.fromkeys(rows, 0)
    for entry in declared.quotas:
        for dimension, capacity in entry["capacity"].items():
            wanted[departments[entry["department"]].id, entry["zone"], dimension] = capacity
    codes = {d.id: d.code for d in departments.values()}
    for key, capacity in wanted.items():
        department_id, zone, dimension = key
        row = _put(
            changes,
            f"quota {codes[department_id]}/{zone} {dimension}",
            rows.get(key),
            {"capacity": capacity},
            partial(QuotaBound, department_id=key[0], zone=key[1], dimension=key[2]),
        )
        session.add(row)


def _apply_chains(session: Session, declared: Declared, changes: list[Change]) -> None:
    rows = {c.code: c for c in session.scalars(sa.select(ApprovalChain))}
    for entry in declared.chains:
        code = entry["code"]
        values = {**_names(entry), "steps": entry["steps"]}
        what = f"approval chain {code}"
        session.add(_put(changes, what, rows.get(code), values, partial(ApprovalChain, code=code)))


def _apply_prices(session: Session, declared: Declared, changes: list[Change]) -> None:
    rows = {(p.item, p.t0): p for p in session.scalars(sa.select(Price))}
    for entry in declared.prices:
        key = (entry["item"], price_start(entry))
        values = {
            **_names(entry),
            "unit": entry["unit"],
            "unit_quantity": entry["unit_quantity"],
            "micro_yuan_per_hour": micro_yuan(entry["yuan_per_unit_hour"]),
        }
        session.add(
            _put(
                changes,
                f"price {entry['item']} from {entry['from']}",
                rows.get(key),
                values,
                partial(Price, item=key[0], t0=key[1]),
            )
        )


def _settle_new_counters(session: Session) -> None:
    """A bound declared over departments that already hold something starts with what they hold."""
    for difference in counter_differences(session):
        kind, _, name = difference["bound"].partition(" ")
        values = {
            "held": difference["held_by_claims"],
            "allocated": difference["allocated_by_claims"],
        }
        if kind == "pool":
            where = [PoolBound.pool_code == name, PoolBound.dimension == difference["dimension"]]
            session.execute(sa.update(PoolBound).where(*where).values(values))
            continue
        code, _, zone = name.partition("/")
        owner = sa.select(Department.id).where(Department.code == code).scalar_subquery()
        session.execute(
            sa.update(QuotaBound)
            .where(
                QuotaBound.department_id == owner,
                QuotaBound.zone == zone,
                QuotaBound.dimension == difference["dimension"],
            )
            .values(values)
        )
