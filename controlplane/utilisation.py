"""What resources use of what they hold: sampled, kept by the hour. It is shown and never billed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.admission.models import Pool
from controlplane.clock import Clock, epoch_seconds
from controlplane.db import Database
from controlplane.errors import CloudRefused, CloudUnavailable
from controlplane.metering.models import UseHour
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState
from controlplane.readings import UseReading

log = logging.getLogger(__name__)

HOUR_SECONDS = 3600
#: A year back can be compared with.
KEPT_SECONDS = 400 * 86_400
#: A tick that comes twice, by an old and a new leader, counts once.
APART_SECONDS = 30
CHUNK = 500
SAMPLED = (ResourceState.ACTIVE, ResourceState.CHANGING, ResourceState.STOPPED)


@runtime_checkable
class ReadsUse(Protocol):
    """A cloud that tells what each resource uses now."""

    def use_readings(self) -> dict[str, UseReading]:
        """By resource id. Errors: CloudUnavailable, CloudRefused."""


class Utilisation:
    def __init__(self, db: Database, clock: Clock) -> None:
        self.db = db
        self.clock = clock

    def sample(self, clouds: Mapping[str, Any]) -> int:
        """Reads every cloud that tells, keeps what it told, of how many resources. A tick."""
        with self.db.read() as session:
            named = session.scalars(sa.select(Pool.cloud).where(Pool.active.is_(True)).distinct())
            readers = {c: clouds[c] for c in named if isinstance(clouds.get(c), ReadsUse)}
        kept = 0
        for cloud, reader in readers.items():
            try:
                readings = reader.use_readings()
            except (CloudUnavailable, CloudRefused) as error:
                log.warning("use in %s: %s", cloud, error.params.get("reason", error))
                continue
            kept += self.keep(readings)
        return kept

    def keep(self, readings: Mapping[str, UseReading]) -> int:
        """One sample of each resource that stands; what is older than a year goes."""
        now = epoch_seconds(self.clock())
        with self.db.transaction() as session:
            session.execute(sa.delete(UseHour).where(UseHour.hour < now - KEPT_SECONDS))
            standing = _standing(session, readings)
            return sum(_add(session, each, readings[each], now) for each in standing)


def _standing(session: Session, resource_ids: Iterable[str]) -> list[str]:
    wanted = sorted(resource_ids)
    return [
        found
        for at in range(0, len(wanted), CHUNK)
        for found in session.scalars(
            sa.select(Resource.id).where(
                Resource.id.in_(wanted[at : at + CHUNK]), Resource.state.in_(SAMPLED)
            )
        )
    ]


def _add(session: Session, resource_id: str, reading: UseReading, now: int) -> bool:
    """False where there is a sample of this moment already."""
    hour = now - now % HOUR_SECONDS
    row = session.get(UseHour, (resource_id, hour))
    if row is None:
        row = UseHour(
            resource_id=resource_id,
            hour=hour,
            samples=0,
            cpu_millicores_sum=0,
            cpu_millicores_max=0,
            memory_mib_sum=0,
            memory_mib_max=0,
            sampled_at=0,
        )
        session.add(row)
    if now - row.sampled_at < APART_SECONDS:
        return False
    row.samples += 1
    row.cpu_millicores_sum += reading.cpu_millicores
    row.cpu_millicores_max = max(row.cpu_millicores_max, reading.cpu_millicores)
    row.memory_mib_sum += reading.memory_mib
    row.memory_mib_max = max(row.memory_mib_max, reading.memory_mib)
    row.sampled_at = now
    return True
