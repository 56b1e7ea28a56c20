"""What people and time do with backups: take, restore, prove, delete; two resources exchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import audit, policy
from controlplane.audit import Actor
from controlplane.backup_jobs import (
    action_for,
    spared_numbers,
    start_backup,
    start_drill,
)
from controlplane.backups import rules
from controlplane.backups import service as backups
from controlplane.backups.models import Backup, BackupSchedule
from controlplane.backups.rules import BackupKind, BackupState
from controlplane.backups.store import BackupStore
from controlplane.catalogue.services import BackupPlan, Service
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.db import Database
from controlplane.errors import (
    BackupUnusable,
    Fault,
    Forbidden,
    InvalidInput,
    NoBackups,
    NotFound,
    ResourceBusy,
    StateConflict,
)
from controlplane.jobs import enqueue_action
from controlplane.policy import Subject
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState

#: States in which a resource is backed up and drilled.
BACKED_UP = (ResourceState.ACTIVE, ResourceState.STOPPED)
#: How many backups or drills one tick starts at most: a night's worth is spread over a few.
STARTED_AT_ONCE = 20
KEEP_DAYS_MAX = 3650
#: By resource, the moment for which something is due.
Moments = dict[str, datetime]


class Recovery:
    """Each public method is one transaction, or one for each resource it is about."""

    def __init__(
        self,
        db: Database,
        catalogue: Mapping[str, Service],
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.settings = settings
        self.clock = clock
        self.store = BackupStore(settings.backups_dir)

    # --- what people do -------------------------------------------------------------------------

    def back_up_now(self, subject: Subject, resource_id: str) -> str:
        """Starts a backup; returns its number. Errors: NotFound, Forbidden, StateConflict,
        ResourceBusy."""
        now = self.clock()
        with self.db.transaction() as session:
            resource = self._resource(session, subject, resource_id, "backup.take")
            service = self._backed_up(session, resource)
            keep_days = self._keep_days(session, resource)
            backup = start_backup(
                session, self.settings, service, resource, BackupKind.MANUAL, keep_days, now
            )
            self._audit(session, subject, "backup_asked", resource, backup=backup.number)
            return backup.number

    def restore_in_place(
        self, subject: Subject, resource_id: str, number: str, typed_name: str
    ) -> None:
        """What the resource holds becomes what the backup holds; what is there now is backed up
        first, and nothing is restored unless that went well.

        Errors: NotFound, Forbidden, InvalidInput (the name), StateConflict, BackupUnusable.
        """
        now = self.clock()
        with self.db.transaction() as session:
            resource = self._resource(session, subject, resource_id, "backup.restore")
            service = self._backed_up(session, resource)
            action = action_for(service, "restore")
            if resource.state not in action.states:
                raise StateConflict(state=resource.state)
            backup = self.usable(session, resource, number)
            _check_name(resource, typed_name)
            keep_days = self._keep_days(session, resource)
            safety = start_backup(
                session, self.settings, service, resource, BackupKind.MANUAL, keep_days, now
            )
            payload = {
                "spec": resource.spec,
                "backup_id": backup.id,
                "safety_backup_id": safety.id,
                "keeps": [backup.number, safety.number],
            }
            enqueue_action(session, self.settings, service, action, resource, now, payload)
            self._audit(
                session,
                subject,
                "restore_asked",
                resource,
                backup=number,
                before=safety.number,
            )

    def usable(self, session: Session, resource: Resource, number: str) -> Backup:
        """The backup, if it can be restored into the resource: kept, of the same department,
        service and zone, its archive there and as long as it was. The play looks at every byte.

        Errors: NotFound, BackupUnusable.
        """
        backup = backups.find_backup(session, number)
        source = backup.resource if backup else None
        if (
            backup is None
            or source is None
            or (source.department_id, source.service, source.zone)
            != (resource.department_id, resource.service, resource.zone)
        ):
            raise NotFound
        if backup.state != BackupState.KEPT:
            raise BackupUnusable(number=number, why={"zh": "已不再保留", "en": "is kept no more"})
        size = self.store.size(backup.location)
        if size is None:
            why = {"zh": "的归档不在备份库中", "en": "has no archive in the backup store"}
            raise BackupUnusable(number=number, why=why)
        if size != backup.size_bytes:
            why = {"zh": "的归档大小与清单不符", "en": "has an archive of another size"}
            raise BackupUnusable(number=number, why=why)
        return backup

    def exchange(self, subject: Subject, resource_id: str, other_id: str, typed_name: str) -> None:
        """Each of the two keeps its connection and gets the other's data.

        Errors: NotFound, Forbidden, InvalidInput (the name, or two that cannot change places),
        StateConflict, ResourceBusy.
        """
        now = self.clock()
        with self.db.transaction() as session:
            for each_id in sorted({resource_id, other_id}):
                provisioning.lock_resource(session, each_id)  # in one order, so that no two wait
            resource = self._resource(session, subject, resource_id, "backup.restore")
            other = self._resource(session, subject, other_id, "backup.restore")
            self._plan(resource)
            service = self.catalogue[resource.service]
            action = action_for(service, "exchange")
            faults = [] if _may_change_places(resource, other) else [Fault("no_exchange", "other")]
            if typed_name.strip() != resource.name:
                faults.append(Fault("confirmation_differs", "confirm_name"))
            if faults:
                raise InvalidInput(faults)
            for each in (resource, other):
                if each.state not in action.states:
                    raise StateConflict(state=each.state)
                provisioning.check_idle(session, each)
            payload = {
                "spec": resource.spec,
                "other_id": other.id,
                "other_state": other.state,
            }
            other.state = ResourceState.CHANGING
            enqueue_action(session, self.settings, service, action, resource, now, payload)
            self._audit(session, subject, "exchange_asked", resource, other=other.number)

    def drill_now(self, subject: Subject, resource_id: str) -> None:
        """An engineer proves the newest backup now. Errors: NotFound, Forbidden, StateConflict,
        ResourceBusy, BackupUnusable (there is none)."""
        with self.db.transaction() as session:
            resource = self._resource(session, subject, resource_id, "backup.prove")
            service = self._backed_up(session, resource)
            backup = backups.newest_kept(session, resource.id)
            if backup is None:
                raise BackupUnusable(number="", why={"zh": "还没有", "en": "is not there yet"})
            start_drill(session, self.settings, service, resource, backup, self.clock())
            self._audit(session, subject, "drill_asked", resource, backup=backup.number)

    def change_schedule(
        self, subject: Subject, resource_id: str, daily_at: str, keep_days: int
    ) -> None:
        """From the next moment on. Backups that were taken are kept as long as was said then.

        Errors: NotFound, Forbidden, InvalidInput.
        """
        now = self.clock()
        with self.db.transaction() as session:
            resource = self._resource(session, subject, resource_id, "backup.take")
            self._plan(resource)
            faults = []
            try:
                rules.time_of_day(daily_at)
            except ValueError:
                faults.append(Fault("field_pattern", "daily_at"))
            if not 1 <= keep_days <= KEEP_DAYS_MAX:
                code = "field_too_small" if keep_days < 1 else "field_too_large"
                limit = 1 if keep_days < 1 else KEEP_DAYS_MAX
                faults.append(Fault(code, "keep_days", {"limit": limit}))
            if faults:
                raise InvalidInput(faults)
            session.merge(
                BackupSchedule(
                    resource_id=resource.id,
                    daily_at=daily_at,
                    keep_days=keep_days,
                    changed_at=now,
                )
            )
            self._audit(
                session,
                subject,
                "schedule_changed",
                resource,
                daily_at=daily_at,
                keep_days=keep_days,
            )

    # --- what time does -------------------------------------------------------------------------

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
        services = [s.code for s in self.catalogue.values() if s.backups is not None]
        rows = session.scalars(
            sa.select(Resource)
            .where(Resource.service.in_(services), Resource.state.in_(BACKED_UP))
            .order_by(Resource.number)
        )
        return [row for row in rows if self.catalogue[row.service].backups_of(row.spec)]

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
            (resource, backups.plan_of(self._plan(resource), chosen.get(resource.id)))
            for resource in resources
            if resource.state in BACKED_UP
        ]

    def _start_due_backup(self, session: Session, resource: Resource, due_at: datetime) -> bool:
        ((_, plan),) = self._with_plans(session, [resource])
        start_backup(
            session,
            self.settings,
            self.catalogue[resource.service],
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
        service = self.catalogue[resource.service]
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

    # --- helpers --------------------------------------------------------------------------------

    def _backed_up(self, session: Session, resource: Resource) -> Service:
        """Errors: NoBackups, StateConflict, ResourceBusy."""
        self._plan(resource)
        if resource.state not in BACKED_UP:
            raise StateConflict(state=resource.state)
        provisioning.check_idle(session, resource)
        return self.catalogue[resource.service]

    def _plan(self, resource: Resource) -> BackupPlan:
        service = self.catalogue.get(resource.service)
        plan = service.backups_of(resource.spec) if service else None
        if plan is None:
            raise NoBackups
        return plan

    def _keep_days(self, session: Session, resource: Resource) -> int:
        chosen = session.get(BackupSchedule, resource.id)
        return backups.plan_of(self._plan(resource), chosen).keep_days

    def _resource(
        self, session: Session, subject: Subject, resource_id: str, action: str
    ) -> Resource:
        resource = provisioning.lock_resource(session, resource_id)
        path = resource.department.path
        if not policy.is_allowed(subject, "resource.view", department_path=path):
            raise NotFound
        if not policy.is_allowed(subject, action, department_path=path):
            raise Forbidden
        return resource

    def _audit(
        self, session: Session, subject: Subject, event: str, resource: Resource, **data: Any
    ) -> None:
        actor = Actor(subject.person_id, subject.name)
        provisioning.audit_resource(session, actor, event, resource, self.clock(), **data)


def _check_name(resource: Resource, typed_name: str) -> None:
    if typed_name.strip() != resource.name:
        raise InvalidInput([Fault("confirmation_differs", "confirm_name")])


def _may_change_places(one: Resource, other: Resource) -> bool:
    """Two of one department and service on the same server."""
    return one.id != other.id and (one.department_id, one.service, one.pool_code) == (
        other.department_id,
        other.service,
        other.pool_code,
    )


def _is_idle(session: Session, resource: Resource) -> bool:
    try:
        provisioning.check_idle(session, resource)
    except ResourceBusy:
        return False
    return True


def _is_new(moment: datetime, ordered: datetime | None) -> bool:
    return ordered is None or ordered < moment
