"""What time does with backups: those that are due, drills that the quarter wants, retention."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import audit
from controlplane.backup_jobs import (
    BACKED_UP,
    declared_plan,
    meter,
    spared_numbers,
    start_backup,
    start_drill,
)
from controlplane.backups import rules
from controlplane.backups import service as backups
from controlplane.backups.rules import BackupKind
from controlplane.backups.store import BackupStore
from controlplane.catalogue.services import BackupPlan
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.db import Database
from controlplane.errors import ResourceBusy
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Resource

#: How many backups or drills one tick starts at most: a night's worth is spread over a few.
STARTED_AT_ONCE = 20
#: By resource, the moment for which something is due.
Moments = dict[str, datetime]


class Custody:
    """Each public method is a tick: it may be called again at any time, also after a crash. One
    transaction for each resource or backup that it is about."""

    def __init__(
        self,
        db: Database,
        catalogue: Catalogue,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.settings = settings
        self.clock = clock
        self.store = BackupStore(settings.backups_dir)

    def back_up_due(self) -> int:
        """Starts the backups whose daily moment has come, each moment once; returns how many."""
        return self._start_due(self._backups_due, self._start_due_backup)

    def drill_due(self) -> int:
        """Starts the drills that the quarter wants and none has passed yet; returns how many."""
        return self._start_due(self._drills_due, self._start_due_drill)

    def _start_due(
        self,
        due: Callable[[Session, list[Resource]], Moments],
        start: Callable[[Session, Resource, datetime], bool],
    ) -> int:
        """Looks without a lock, then decides again for each resource under its lock."""
        started = 0
        with self.db.read() as session:
            wanted = due(session, self._watched(session))
        for resource_id in wanted:
            with self.db.transaction() as session:
                resource = provisioning.lock_resource(session, resource_id)
                due_at = due(session, [resource]).get(resource_id)
                if due_at is not None and _is_idle(session, resource):  # else the next tick
                    started += start(session, resource, due_at)
            if started == STARTED_AT_ONCE:
                break
        return started

    def _watched(self, session: Session) -> list[Resource]:
        services = {s.code for s in self.catalogue.every_version if s.backups is not None}
        rows = session.scalars(
            sa.select(Resource)
            .where(Resource.service.in_(services), Resource.state.in_(BACKED_UP))
            .order_by(Resource.number)
        )
        return [row for row in rows if self.catalogue.of(row).backups_of(row.spec)]

    def _backups_due(self, session: Session, resources: list[Resource]) -> Moments:
        now, due = self.clock(), {}
        ids = [resource.id for resource in resources]
        ordered = backups.last_backup_moments(session, ids)
        for resource, plan in self._with_plans(session, resources):
            if resource.delivered_at is not None:
                moment = rules.backup_due(now, plan.daily_at, resource.delivered_at)
                if moment is not None and _is_new(moment, ordered.get(resource.id)):
                    due[resource.id] = moment
        return due

    def _drills_due(self, session: Session, resources: list[Resource]) -> Moments:
        now, due = self.clock(), {}
        ids = [resource.id for resource in resources]
        ordered = backups.last_drill_moments(session, ids)
        first, proven = backups.first_kept(session, ids), backups.last_proven(session, ids)
        for resource, plan in self._with_plans(session, resources):
            mine = first.get(resource.id), proven.get(resource.id)
            moment = rules.drill_due(now, plan.daily_at, *mine)
            if moment is not None and _is_new(moment, ordered.get(resource.id)):
                due[resource.id] = moment
        return due

    def _with_plans(
        self, session: Session, resources: list[Resource]
    ) -> list[tuple[Resource, BackupPlan]]:
        chosen = backups.schedules_of(session, [resource.id for resource in resources])
        return [
            (resource, backups.plan_of(plan, chosen.get(resource.id)))
            for resource in resources
            if resource.state in BACKED_UP
            for plan in [declared_plan(self.catalogue, resource)]
        ]

    def _start_due_backup(self, session: Session, resource: Resource, due_at: datetime) -> bool:
        ((_, plan),) = self._with_plans(session, [resource])
        start_backup(
            session,
            self.settings,
            self.catalogue.of(resource),
            resource,
            BackupKind.SCHEDULE,
            plan.keep_days,
            self.clock(),
            due_at=due_at,
        )
        return True

    def _start_due_drill(self, session: Session, resource: Resource, due_at: datetime) -> bool:
        backup = backups.newest_kept(session, resource.id)
        if backup is None:
            return False  # the first one's time is over and the next is yet to be taken
        service = self.catalogue.of(resource)
        start_drill(session, self.settings, service, resource, backup, self.clock(), due_at)
        return True

    def delete_expired(self) -> int:
        """Removes the archives whose time is over, and what failed backups left; returns how many
        backups are gone. The row says that it is being deleted before its file goes, and that it is
        deleted after: ended half-way, the next call goes on."""
        now, done = self.clock(), 0
        with self.db.transaction() as session:
            going = backups.begin_deleting(session, now, spared_numbers(session, now))
            leftovers = backups.failed_leftovers(session, now)
        for location in leftovers:
            self.store.remove(location)
        for backup_id, location in going:
            self.store.remove(location)
            with self.db.transaction() as session:
                backup = backups.end_deleting(session, backup_id, now)
                meter(session, backup.resource, now)
                provisioning.audit_resource(
                    session,
                    audit.SYSTEM,
                    "backup_deleted",
                    backup.resource,
                    now,
                    backup=backup.number,
                )
            done += 1
        return done


def _is_idle(session: Session, resource: Resource) -> bool:
    try:
        provisioning.check_idle(session, resource)
    except ResourceBusy:
        return False
    return True


def _is_new(moment: datetime, ordered: datetime | None) -> bool:
    return ordered is None or ordered < moment
