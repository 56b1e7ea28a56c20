"""What people do with backups: take, restore, prove one; exchange two resources."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from controlplane import policy
from controlplane.audit import Actor
from controlplane.backup_jobs import (
    BACKED_UP,
    action_for,
    declared_plan,
    start_backup,
    start_drill,
)
from controlplane.backups import logs, rules
from controlplane.backups import service as backups
from controlplane.backups.models import Backup, BackupSchedule
from controlplane.backups.rules import BackupKind, BackupState
from controlplane.backups.store import BackupStore
from controlplane.catalogue.services import Action, Service
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock, local_second
from controlplane.config import Settings
from controlplane.db import Database
from controlplane.errors import (
    BackupUnusable,
    Fault,
    Forbidden,
    InvalidInput,
    NotFound,
    StateConflict,
)
from controlplane.guarding import ask_second_person
from controlplane.jobs import enqueue_action
from controlplane.policy import Subject
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.guards import GuardedAct, needs_second_person
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState

KEEP_DAYS_MAX = 3650


class Recovery:
    """Each public method is one transaction; what time does with backups is in `custody`."""

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

    def back_up_moment(self, subject: Subject, resource_id: str, moment: datetime) -> str:
        """Starts a backup of what the resource held at a moment before, from the archived log of
        its server; returns its number. It is restored like any other.

        Errors: NotFound, Forbidden, NoBackups, StateConflict, ResourceBusy, InvalidInput
        (`moment_outside`, `no_moments`).
        """
        now = self.clock()
        with self.db.transaction() as session:
            resource = self._resource(session, subject, resource_id, "backup.take")
            service = self._backed_up(session, resource)
            has = service.has_moments(resource.spec)
            span = logs.span_of(session, resource) if has else None
            if span is None:
                raise InvalidInput([Fault("no_moments", "moment")])
            if not span.holds(moment):
                told = {"since": local_second(span.since), "until": local_second(span.until)}
                raise InvalidInput([Fault("moment_outside", "moment", told)])
            backup = start_backup(
                session,
                self.settings,
                service,
                resource,
                BackupKind.MOMENT,
                self._keep_days(session, resource),
                now,
                moment=moment,
            )
            told = {"backup": backup.number, "moment": moment.isoformat()}
            self._audit(session, subject, "backup_asked", resource, **told)
            return backup.number

    def restore_in_place(
        self, subject: Subject, resource_id: str, number: str, typed_name: str
    ) -> int | None:
        """What the resource holds becomes what the backup holds; what is there now is backed up
        first, and nothing is restored unless that went well. A protected one waits for a second
        person: the id of what was asked.

        Errors: NotFound, Forbidden, InvalidInput (the name), StateConflict, BackupUnusable,
        SecondPersonAwaited.
        """
        with self.db.transaction() as session:
            resource = self._resource(session, subject, resource_id, "backup.restore")
            self.check_restore(session, resource, number)
            _check_name(resource, typed_name)
            if needs_second_person(GuardedAct.RESTORE, resource.is_protected):
                detail = {"backup": number}
                return ask_second_person(
                    session, subject, resource, GuardedAct.RESTORE, self.clock(), detail
                )
            self.begin_restore(session, subject, resource, number)
            return None

    def check_restore(self, session: Session, resource: Resource, number: str) -> Backup:
        """The backup, if it can be restored now. Errors: NotFound, NoBackups, StateConflict,
        ResourceBusy, BackupUnusable."""
        service = self._backed_up(session, resource)
        if resource.state not in action_for(service, "restore").states:
            raise StateConflict(state=resource.state)
        return self.usable(session, resource, number)

    def begin_restore(
        self, session: Session, subject: Subject, resource: Resource, number: str
    ) -> None:
        """Errors: as `check_restore`."""
        now, backup = self.clock(), self.check_restore(session, resource, number)
        service = self.catalogue.of(resource)
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
        action = action_for(service, "restore")
        enqueue_action(session, self.settings, service, action, resource, now, payload)
        told = {"backup": number, "before": safety.number}
        self._audit(session, subject, "restore_asked", resource, **told)

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
        service = self.catalogue.of(resource)
        if service.engine_of(source.spec) != service.engine_of(resource.spec):
            why = {"zh": "取自另一类套餐", "en": "was taken from a plan of the other kind"}
            raise BackupUnusable(number=number, why=why)
        size = self.store.size(backup.location)
        if size is None:
            why = {"zh": "的归档不在备份库中", "en": "has no archive in the backup store"}
            raise BackupUnusable(number=number, why=why)
        if size != backup.size_bytes:
            why = {"zh": "的归档大小与清单不符", "en": "has an archive of another size"}
            raise BackupUnusable(number=number, why=why)
        return backup

    def exchange(
        self, subject: Subject, resource_id: str, other_id: str, typed_name: str
    ) -> int | None:
        """Each of the two keeps its connection and gets the other's data. Where one of them is
        protected it waits for a second person: the id of what was asked.

        Errors: NotFound, Forbidden, InvalidInput (the name, or two that cannot change places),
        StateConflict, ResourceBusy, SecondPersonAwaited.
        """
        with self.db.transaction() as session:
            lock_both(session, resource_id, other_id)
            resource = self._resource(session, subject, resource_id, "backup.restore")
            other = self._resource(session, subject, other_id, "backup.restore")
            faults = [] if _may_change_places(resource, other) else [Fault("no_exchange", "other")]
            if typed_name.strip() != resource.name:
                faults.append(Fault("confirmation_differs", "confirm_name"))
            if faults:
                raise InvalidInput(faults)
            self._check_exchange(session, resource, other)
            is_protected = resource.is_protected or other.is_protected
            if needs_second_person(GuardedAct.EXCHANGE, is_protected):
                detail = {"other": other.number, "other_id": other.id}
                return ask_second_person(
                    session, subject, resource, GuardedAct.EXCHANGE, self.clock(), detail
                )
            self.begin_exchange(session, subject, resource, other)
            return None

    def _check_exchange(self, session: Session, resource: Resource, other: Resource) -> Action:
        """Errors: NoBackups, StateConflict, ResourceBusy."""
        declared_plan(self.catalogue, resource)
        action = action_for(self.catalogue.of(resource), "exchange")
        for each in (resource, other):
            if each.state not in action.states:
                raise StateConflict(state=each.state)
            provisioning.check_idle(session, each)
        return action

    def begin_exchange(
        self, session: Session, subject: Subject, resource: Resource, other: Resource
    ) -> None:
        """Of two that may change places and are both locked. Errors: as they were when it was
        asked."""
        action = self._check_exchange(session, resource, other)
        service = self.catalogue.of(resource)
        payload = {"spec": resource.spec, "other_id": other.id, "other_state": other.state}
        other.state = ResourceState.CHANGING
        now = self.clock()
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
            declared_plan(self.catalogue, resource)
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

    # --- helpers --------------------------------------------------------------------------------

    def _backed_up(self, session: Session, resource: Resource) -> Service:
        """Errors: NoBackups, StateConflict, ResourceBusy."""
        declared_plan(self.catalogue, resource)
        if resource.state not in BACKED_UP:
            raise StateConflict(state=resource.state)
        provisioning.check_idle(session, resource)
        return self.catalogue.of(resource)

    def _keep_days(self, session: Session, resource: Resource) -> int:
        chosen = session.get(BackupSchedule, resource.id)
        return backups.plan_of(declared_plan(self.catalogue, resource), chosen).keep_days

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


def lock_both(session: Session, one_id: str, other_id: str) -> None:
    """In one order, so that no two wait for each other. Errors: NotFound."""
    for each_id in sorted({one_id, other_id}):
        provisioning.lock_resource(session, each_id)


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
