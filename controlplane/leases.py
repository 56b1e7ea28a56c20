"""Leases: prolonged by people, ended by time."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.audit import SYSTEM
from controlplane.catalogue.services import Service
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import LOCAL_ZONE, Clock
from controlplane.config import Settings
from controlplane.db import Database
from controlplane.errors import EditedMeanwhile, Fault, InvalidInput, StateConflict
from controlplane.guarding import actor_of, lock_for
from controlplane.jobs import enqueue_action
from controlplane.operations import Operations
from controlplane.policy import Subject
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.leases import LeaseStep, due_step, is_renewable, lease_end
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import (
    ResourceState,
    add_months,
    months_renewable,
    renewed_until,
)


class Leases:
    """Each public method is one transaction, the tick one for each resource."""

    def __init__(
        self,
        db: Database,
        catalogue: Catalogue,
        operations: Operations,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.operations = operations
        self.settings = settings
        self.clock = clock

    def renew_resource(
        self, subject: Subject, resource_id: str, months: int, lease_seen: datetime
    ) -> datetime:
        """Prolongs the lease by `months`; returns its new end.

        `lease_seen` is the end that the person saw, so that a renewal sent twice counts once.
        Errors: NotFound, Forbidden, InvalidInput (beyond the service's longest lease),
        StateConflict, EditedMeanwhile (somebody else renewed it differently).
        """
        now = self.clock()
        with self.db.transaction() as session:
            resource = lock_for(session, subject, resource_id, "resource.renew")
            if resource.expires_at is None or not is_renewable(
                resource.state, is_suspended=resource.lease_suspended_at is not None
            ):
                raise StateConflict(state=resource.state)
            longest = self.catalogue.of(resource).lease_max_months
            if not 1 <= months <= longest:
                raise InvalidInput([_out_of_range(months, longest)])
            ends_at = resource.expires_at
            if ends_at != lease_seen:
                if lease_seen < ends_at and renewed_until(lease_seen, months, now) == ends_at:
                    return ends_at  # the same form again
                raise EditedMeanwhile
            until = renewed_until(ends_at, months, now)
            if until > add_months(now, longest):
                raise InvalidInput([_beyond_longest(ends_at, now, longest)])
            resource.expires_at = until
            self._resume(session, resource)
            provisioning.audit_resource(
                session,
                actor_of(subject),
                "resource_renewed",
                resource,
                now,
                months=months,
                expires_at=until.isoformat(),
            )
            return until

    def _resume(self, session: Session, resource: Resource) -> None:
        """Undoes what the lease's end has brought so far."""
        if resource.lease_suspended_at is None:
            return
        now = self.clock()
        service = self.catalogue.of(resource)
        retire = service.actions["retire"]
        start = service.action(retire.start_with) if retire.start_with else None
        if resource.state == ResourceState.RETIRING:
            resource.retire_at = None
            resource.state = ResourceState.STOPPED if start else ResourceState.ACTIVE
        if resource.is_stopped_by_lease and start is not None:
            payload = {"spec": resource.spec, "to_state": start.to_state}
            enqueue_action(session, self.settings, service, start, resource, now, payload)
        resource.lease_suspended_at, resource.is_stopped_by_lease = None, False

    def end_leases(self) -> int:
        """Suspends, and later retires, what is not renewed; returns how many. A tick.

        Each step is a change of the row with its job and its audit event in one transaction, so it
        happens once, whenever the process dies.
        """
        now = self.clock()
        with self.db.read() as session:
            over = session.scalars(
                sa.select(Resource.id)
                .where(
                    Resource.expires_at <= now,
                    Resource.state.in_((ResourceState.ACTIVE, ResourceState.STOPPED)),
                )
                .order_by(Resource.expires_at)
            ).all()
        return sum(self._end_lease(resource_id) for resource_id in over)

    def _end_lease(self, resource_id: str) -> bool:
        with self.db.transaction() as session:
            resource = provisioning.lock_resource(session, resource_id)
            service = self.catalogue.find(resource)
            if service is None or resource.expires_at is None:
                return False
            step = due_step(
                lease_end(
                    resource.expires_at,
                    resource.lease_suspended_at,
                    grace_days=service.lease_grace_days,
                    suspended_days=service.lease_suspended_days,
                ),
                resource.state,
                self.clock(),
                is_suspended=resource.lease_suspended_at is not None,
                is_kept=resource.is_protected
                or bool(provisioning.dependents(session, resource.id)),
            )
            if step is None or not _is_idle(session, resource):
                return False  # a busy one is found again by the next tick
            if step is LeaseStep.SUSPEND:
                self._suspend(session, service, resource)
            else:
                self.operations.begin_retirement(session, SYSTEM, resource)
            return True

    def _suspend(self, session: Session, service: Service, resource: Resource) -> None:
        now = self.clock()
        retire = service.actions["retire"]
        stop = service.action(retire.stop_with) if retire.stop_with else None
        resource.lease_suspended_at = now
        if stop is not None and resource.state == ResourceState.ACTIVE:
            resource.is_stopped_by_lease = True
            payload = {"spec": resource.spec, "to_state": stop.to_state}
            enqueue_action(session, self.settings, service, stop, resource, now, payload)
        provisioning.audit_resource(session, SYSTEM, "lease_suspended", resource, now)


def _is_idle(session: Session, resource: Resource) -> bool:
    try:
        provisioning.check_idle(session, resource)
    except StateConflict:
        return False
    return True


def _out_of_range(months: int, longest: int) -> Fault:
    if months < 1:
        return Fault("field_too_small", "months", {"limit": 1})
    return Fault("field_too_large", "months", {"limit": longest})


def _beyond_longest(ends_at: datetime, now: datetime, longest: int) -> Fault:
    latest = add_months(now, longest).astimezone(LOCAL_ZONE).date().isoformat()
    limit = months_renewable(ends_at, now, longest)
    return Fault("lease_too_long", "months", {"latest": latest, "limit": limit})
