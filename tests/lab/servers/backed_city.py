"""What tests of backups do with a city's databases on the shared servers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from controlplane.backups.models import Backup, RestoreDrill
from controlplane.provisioning.models import Job
from tests.lab.servers.backed_engines import Backed
from tests.lab.servers.shared_city import SharedCity, shown


@dataclass(frozen=True)
class Way:
    """Into a database, as its department is shown it at this moment."""

    city: SharedCity
    engine: Backed
    folder: Path

    def ask(self, resource_id: str, query: str) -> list[tuple[Any, ...]]:
        return self.engine.ask(shown(self.city, resource_id), self.folder, query)

    def fill(self, resource_id: str, rows: int) -> None:
        for statement in self.engine.fill:
            self.ask(resource_id, statement.replace("{rows}", str(rows)))

    def total(self, resource_id: str) -> list[tuple[Any, ...]]:
        return self.ask(resource_id, self.engine.total)


def backups(city: SharedCity, resource_id: str) -> list[Backup]:
    with city.control_plane.db.read() as session:
        rows = sa.select(Backup).where(Backup.resource_id == resource_id).order_by(Backup.id)
        return list(session.scalars(rows))


def backup(city: SharedCity, resource_id: str) -> Backup:
    """A backup taken now; it must be a good one."""
    recovery = city.control_plane.recovery
    number = recovery.back_up_now(city.person("limin"), resource_id)
    ended(city)
    found = next(b for b in backups(city, resource_id) if b.number == number)
    assert found.state == "kept", found.error
    return found


def newest_kept(city: SharedCity, resource_id: str) -> Backup:
    return [b for b in backups(city, resource_id) if b.state == "kept"][-1]


def drill_of(city: SharedCity, resource_id: str) -> RestoreDrill:
    """The one drill that it has had."""
    with city.control_plane.db.read() as session:
        drills = sa.select(RestoreDrill).where(RestoreDrill.resource_id == resource_id)
        return session.scalars(drills).one()


def ended(city: SharedCity) -> None:
    city.worker.wake()
    city.idle()


def newest_job(city: SharedCity, action: str) -> Job:
    return city.jobs(action=action)[-1]
