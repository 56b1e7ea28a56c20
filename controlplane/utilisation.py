"""What resources use of what they hold: sampled, kept by the hour. It is shown and never billed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.admission.models import Pool
from controlplane.clock import HOUR_SECONDS, Clock, epoch_seconds
from controlplane.db import Database, in_chunks
from controlplane.errors import CloudRefused, CloudUnavailable
from controlplane.metering.models import UseHour
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState
from controlplane.readings import UseReading

log = logging.getLogger(__name__)

#: A year back can be compared with.
KEPT_SECONDS = 400 * 86_400
#: A tick that comes twice, by an old and a new leader, counts once.
APART_SECONDS = 30
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
            hour = now - now % HOUR_SECONDS
            kept = 0
            for resource_id, row in _standing(session, readings, hour):
                if row is None:
                    row = _empty(resource_id, hour)
                    session.add(row)
                kept += _add(row, readings[resource_id], now)
            return kept


def _standing(
    session: Session, resource_ids: Iterable[str], hour: int
) -> list[tuple[str, UseHour | None]]:
    """Those of the resources that stand, each with its row of the hour, if there is one."""
    of_hour = sa.and_(UseHour.resource_id == Resource.id, UseHour.hour == hour)
    return [
        (resource_id, row)
        for chunk in in_chunks(sorted(resource_ids))
        for resource_id, row in session.execute(
            sa.select(Resource.id, UseHour)
            .outerjoin(UseHour, of_hour)
            .where(Resource.id.in_(chunk), Resource.state.in_(SAMPLED))
        )
    ]


def _empty(resource_id: str, hour: int) -> UseHour:
    return UseHour(
        resource_id=resource_id,
        hour=hour,
        samples=0,
        cpu_millicores_sum=0,
        cpu_millicores_max=0,
        memory_mib_sum=0,
        memory_mib_max=0,
        sampled_at=0,
    )


def _add(row: UseHour, reading: UseReading, now: int) -> bool:
    """False where there is a sample of this moment already."""
    if now - row.sampled_at < APART_SECONDS:
        return False
    row.samples += 1
    row.cpu_millicores_sum += reading.cpu_millicores
    row.cpu_millicores_max = max(row.cpu_millicores_max, reading.cpu_millicores)
    row.memory_mib_sum += reading.memory_mib
    row.memory_mib_max = max(row.memory_mib_max, reading.memory_mib)
    row.sampled_at = now
    return True
