"""A city with thousands of resources, put into the database in bulk, its books in order."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import schema
from controlplane.admission.models import Claim, Pool, PoolBound, QuotaBound
from controlplane.app import ControlPlane, build
from controlplane.applying import apply_declared
from controlplane.audit import AuditEvent, seal_events
from controlplane.catalogue.loader import needed_chains
from controlplane.clock import epoch_seconds
from controlplane.config import Settings
from controlplane.engines import OPENSTACK
from controlplane.metering.models import UsageInterval
from controlplane.people import add_people, load_people
from controlplane.provisioning.models import DepartmentSite, Job, Resource
from controlplane.quotas import load_quotas
from controlplane.service_requests.models import NumberSeries, ServiceRequest
from controlplane.tenancy.models import Department, Person
from lab.city.server import PEOPLE

CHUNK = 1000


def seeded_city(folder: Path, resources: int, now: datetime) -> ControlPlane:
    """A control plane over `resources` delivered VMs of all departments, a tenth of them changed
    in size once, two requests in ten still in approval."""
    settings = Settings(var_dir=folder, delivery="none")
    control_plane = build(settings)
    schema.upgrade(control_plane.db)
    with control_plane.db.transaction() as session:
        declared = load_quotas(
            settings.quotas_dir, needed_chains(control_plane.catalogue.every_version)
        )
        apply_declared(session, settings, declared, now)
        add_people(session, load_people(PEOPLE), now)
        # A sample city is small: the benchmark's is a hundred times as full.
        session.execute(sa.update(PoolBound).values(capacity=PoolBound.capacity * 100))
        session.execute(sa.update(QuotaBound).values(capacity=QuotaBound.capacity * 100))
        session.execute(
            sa.update(Pool).values(cloud_images=[{"name": "lab-tiny", "title": "Tiny"}])
        )
    with control_plane.db.transaction() as session:
        _fill(session, control_plane, resources, now)
        # Applying settles the counters over what is there now.
        apply_declared(session, settings, declared, now)
    with control_plane.db.transaction() as session:
        while seal_events(session):
            pass
    return control_plane


def _fill(session: Session, control_plane: ControlPlane, count: int, now: datetime) -> None:
    service = control_plane.catalogue["vm"]
    departments = list(session.scalars(sa.select(Department)))
    of_machines = Pool.zone != "classified", Pool.engine == OPENSTACK
    pools = session.scalars(sa.select(Pool).where(*of_machines)).all()
    applicant = session.scalars(sa.select(Person.id).where(Person.login == "limin")).one()
    form = {"system_name": "业务系统", "plan": "standard", "image": "lab-tiny"}
    spec = service.spec_of(form)
    capacity = service.capacity_of(spec)
    rows: dict[Any, list[dict[str, Any]]] = {
        t: [] for t in (ServiceRequest, Resource, Job, Claim, UsageInterval, AuditEvent)
    }
    sites = _sites(session, departments, pools, now)
    for i in range(count):
        department, pool = departments[i % len(departments)], pools[i % len(pools)]
        born = now - timedelta(days=300) * (i / count) - timedelta(hours=1)
        _one(rows, i, department, pool, applicant, form, spec, capacity, born, sites)
    for table, values in rows.items():
        for start in range(0, len(values), CHUNK):
            session.execute(sa.insert(table), values[start : start + CHUNK])
    session.execute(
        sa.insert(NumberSeries),
        [{"series": f"{p}-2026", "last": count} for p in ("SQ", "R")],
    )


def _sites(
    session: Session, departments: list[Department], pools: list[Pool], now: datetime
) -> dict[tuple[int, str], int]:
    sites = {}
    for department in departments:
        for zone, cloud in {(p.zone, p.cloud) for p in pools}:
            site = DepartmentSite(
                department_id=department.id,
                zone=zone,
                cloud=cloud,
                project=f"egov-{department.code}-{zone}",
                state="ready",
                outputs={},
                created_at=now,
            )
            session.add(site)
            session.flush()
            sites[department.id, zone] = site.id
    return sites


def _one(
    rows: dict[Any, list[dict[str, Any]]],
    i: int,
    department: Department,
    pool: Pool,
    applicant: int,
    form: dict[str, Any],
    spec: dict[str, Any],
    capacity: dict[str, int],
    born: datetime,
    sites: dict[tuple[int, str], int],
) -> None:
    born = born.replace(microsecond=0, tzinfo=UTC)
    resource_id = str(uuid.UUID(int=i + 1, version=4))
    name, number = f"业务系统-{i:05d}", f"SQ-2026-{i + 1:06d}"
    common = {"department_id": department.id, "service": "vm", "service_version": "1.0.0"}
    rows[ServiceRequest].append(
        common
        | {
            "id": i + 1,
            "number": number,
            "applicant_id": applicant,
            "action": "provision",
            "title": name,
            "zone": pool.zone,
            "pool": pool.code,
            "resource_id": resource_id,
            "form": form,
            "spec": spec,
            "capacity": capacity,
            "monthly_micro_yuan": 206_000_000,
            "state": "fulfilled",
            "reason": "",
            "created_at": born,
            "submitted_at": born,
            "decided_at": born,
            "closed_at": born,
            "version": 1,
        }
    )
    rows[Resource].append(
        common
        | {
            "id": resource_id,
            "number": f"R-2026-{i + 1:06d}",
            "request_id": i + 1,
            "name": name,
            "zone": pool.zone,
            "pool_code": pool.code,
            "state": "active" if i % 10 else "stopped",
            "spec": spec,
            "capacity": capacity,
            "outputs": {"server_id": resource_id, "addresses": {"fixed": f"10.77.0.{i % 250 + 1}"}},
            "created_at": born,
            "delivered_at": born,
            "expires_at": born + timedelta(days=365),
            "version": 1,
        }
    )
    rows[Job].append(
        {
            "number": f"J-{born:%Y%m%d}-{i:06d}",
            "action": "provision",
            "service": "vm",
            "playbook": "services/vm/provision.yml",
            "request_id": i + 1,
            "resource_id": resource_id,
            "site_id": sites[department.id, pool.zone],
            "payload": {"spec": spec},
            "state": "succeeded",
            "attempt": 1,
            "attempts_max": 3,
            "run_after": born,
            "created_at": born,
            "started_at": born,
            "finished_at": born + timedelta(seconds=9),
        }
    )
    for dimension, amount in capacity.items():
        rows[Claim].append(
            {
                "request_id": i + 1,
                "resource_id": resource_id,
                "department_id": department.id,
                "pool_code": pool.code,
                "zone": pool.zone,
                "dimension": dimension,
                "amount": amount,
                "state": "allocated",
                "changed_at": born,
            }
        )
    rows[UsageInterval] += _intervals(i, department.id, resource_id, number, capacity, born)
    rows[AuditEvent].append(
        {
            "at": born,
            "actor_name": "system",
            "event": "request_fulfilled",
            "object_type": "resource",
            "object_id": f"R-2026-{i + 1:06d}",
            "department_id": department.id,
            "data": {"request": number},
        }
    )


def _intervals(
    i: int,
    department_id: int,
    resource_id: str,
    number: str,
    capacity: dict[str, int],
    born: datetime,
) -> Iterator[dict[str, Any]]:
    """One open interval an item; a tenth of the resources were half as large for their first
    half hour."""
    t0 = epoch_seconds(born)
    for item, quantity in capacity.items():
        base = {
            "resource_id": resource_id,
            "department_id": department_id,
            "request_number": number,
            "item": item,
            "learned_at": t0,
        }
        if i % 10 == 0 and quantity > 1:
            yield base | {"quantity": quantity // 2, "t0": t0, "t1": t0 + 1800}
            yield base | {"quantity": quantity, "t0": t0 + 1800, "t1": None}
        else:
            yield base | {"quantity": quantity, "t0": t0, "t1": None}
