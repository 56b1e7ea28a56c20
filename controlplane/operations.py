"""What people do with a resource they have: operate it, retire it, think better of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from controlplane import audit, policy
from controlplane.audit import Actor
from controlplane.backup_jobs import enqueue_destruction, start_destruction
from controlplane.backups.service import last_backup_that_failed
from controlplane.catalogue.forms import check_form
from controlplane.catalogue.services import Action, Service
from controlplane.catalogue.versions import Catalogue
from controlplane.certificate_jobs import action_faults
from controlplane.choices import live_choices
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.rules import ACCOUNTS_MAX, account_secret
from controlplane.db import Database
from controlplane.errors import (
    Fault,
    Forbidden,
    InvalidInput,
    LeaseEnded,
    NotFound,
    StateConflict,
)
from controlplane.guarding import actor_of, ask_second_person, lapse_asks, lock_for
from controlplane.jobs import enqueue_action
from controlplane.policy import Subject
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.guards import GuardedAct, name_faults, needs_second_person
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.rules import (
    JobState,
    ResourceState,
)
from controlplane.standing import may_go_faults, stand_on


class Operations:
    """Each public method is one transaction."""

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

    def operate_resource(
        self, subject: Subject, resource_id: str, action_code: str, form: Mapping[str, Any]
    ) -> int:
        """Starts an action that nobody has to approve; returns the job's id.

        Errors: NotFound, Forbidden, InvalidInput, StateConflict (its state, or it is busy),
        DependenceRefused.
        """
        with self.db.transaction() as session:
            resource = self._resource(session, subject, resource_id, "resource.operate")
            service = self.catalogue.of(resource)
            action = service.action(action_code)
            if action is None or action.kind != "operate" or action.is_internal:
                raise NotFound
            if not service.offers(action, resource.spec, resource.outputs):
                raise NotFound
            if resource.state not in action.states:
                raise StateConflict(state=resource.state)
            if resource.lease_suspended_at is not None and action.to_state == "active":
                raise LeaseEnded(state=resource.state)
            provisioning.check_idle(session, resource)
            self._check(session, service, action, resource, form)
            inputs = {name: form[name] for name in action.inputs}
            cleared = dict.fromkeys(action.clears)
            spec = {**resource.spec, **{k: v for k, v in form.items() if k not in inputs}}
            spec = {k: v for k, v in spec.items() if k not in cleared}
            drawn = service.drawn(action.rotates)
            if action.draws_for:
                drawn.append(account_secret(inputs[action.draws_for]))
            if drawn:
                keyring = Keyring(self.settings.credential_keys)
                credentials.draw_next(session, keyring, resource.id, drawn, self.clock())
            stand_on(session, self.catalogue, service, resource, spec)
            job = enqueue_action(
                session,
                self.settings,
                service,
                action,
                resource,
                self.clock(),
                {
                    "spec": spec,
                    "previous_spec": resource.spec,
                    "to_state": action.to_state,
                    "inputs": inputs,
                },
            )
            self._audit(
                session, subject, "resource_operated", resource, action=action.code, job=job.number
            )
            return job.id

    def _check(
        self,
        session: Session,
        service: Service,
        action: Action,
        resource: Resource,
        form: Mapping[str, Any],
    ) -> None:
        schema = service.form_schema(action)
        schema["required"] = [*action.fields, *action.inputs]
        stands_on = service.engine_of(resource.spec)
        choices = live_choices(
            session,
            service,
            action,
            resource.department,
            resource.zone,
            stands_on,
            resource.outputs,
        )
        values = {name: [c.value for c in cs] for name, cs in choices.items()}
        faults = check_form(schema, dict(form), values)
        faults = faults or _account_faults(action, resource, form)
        if action.certifies and not faults:
            faults = action_faults(
                session, action, resource, {**resource.spec, **form}, self.clock()
            )
        if faults:
            raise InvalidInput(faults)

    def retire_resource(self, subject: Subject, resource_id: str, typed_name: str) -> int | None:
        """Stops the resource and destroys it after the service's grace period.

        `typed_name` must be the resource's name. A protected one waits for a second person: the id
        of what was asked. Errors: NotFound, Forbidden, InvalidInput, StateConflict (also while
        another resource stands on it).
        """
        with self.db.transaction() as session:
            resource = self._resource(session, subject, resource_id, "resource.retire")
            self.check_retirement(session, resource, typed_name)
            if needs_second_person(GuardedAct.RETIRE, resource.is_protected):
                return ask_second_person(
                    session, subject, resource, GuardedAct.RETIRE, self.clock()
                )
            self.begin_retirement(session, actor_of(subject), resource)
            return None

    def check_retirement(self, session: Session, resource: Resource, typed_name: str) -> None:
        """Errors: InvalidInput, StateConflict, ResourceBusy."""
        if resource.state not in (ResourceState.ACTIVE, ResourceState.STOPPED):
            raise StateConflict(state=resource.state)
        provisioning.check_idle(session, resource)
        faults = self._retire_faults(session, resource, typed_name)
        if faults:
            raise InvalidInput(faults)

    def begin_retirement(self, session: Session, actor: Actor, resource: Resource) -> None:
        """Within a transaction that has checked it."""
        now = self.clock()
        service = self.catalogue.of(resource)
        action = service.actions["retire"]
        was_active = resource.state == ResourceState.ACTIVE
        resource.state = ResourceState.RETIRING
        resource.retire_at = now + timedelta(days=action.grace_days)
        stop = service.action(action.stop_with) if action.stop_with else None
        if stop is not None and was_active and action.grace_days:
            payload = {"spec": resource.spec, "to_state": None}
            enqueue_action(session, self.settings, service, stop, resource, now, payload)
        provisioning.audit_resource(
            session,
            actor,
            "resource_retiring",
            resource,
            now,
            retire_at=resource.retire_at.isoformat(),
        )
        if not action.grace_days:
            self._destroy(session, resource)

    def _retire_faults(self, session: Session, resource: Resource, typed_name: str) -> list[Fault]:
        faults = name_faults(typed_name, resource.name)
        return faults + may_go_faults(session, self.catalogue, resource)

    def cancel_retirement(self, subject: Subject, resource_id: str) -> None:
        """Within the grace period: the resource stays, and starts again. Errors: as above."""
        now = self.clock()
        with self.db.transaction() as session:
            resource = self._resource(session, subject, resource_id, "resource.retire")
            if resource.state != ResourceState.RETIRING:
                raise StateConflict(state=resource.state)
            if resource.lease_suspended_at is not None:
                raise LeaseEnded(state=resource.state)
            service = self.catalogue.of(resource)
            retire = service.actions["retire"]
            start = service.action(retire.start_with) if retire.start_with else None
            resource.retire_at = None
            resource.state = ResourceState.STOPPED if start else ResourceState.ACTIVE
            if start is not None:
                payload = {"spec": resource.spec, "to_state": start.to_state}
                enqueue_action(session, self.settings, service, start, resource, now, payload)
            self._audit(session, subject, "resource_retirement_cancelled", resource)

    def retire_now(self, subject: Subject, resource_id: str, typed_name: str) -> int | None:
        """A platform engineer destroys without waiting for the grace period's end; or without the
        last backup, where that has failed and the destruction, which had its second person, waits
        for it. Returns and errors: as `retire_resource`."""
        with self.db.transaction() as session:
            resource = self._resource(session, subject, resource_id, "resource.retire_now")
            if resource.state == ResourceState.DESTROYING:
                self._destroy_without_backup(session, subject, resource, typed_name)
                return None
            self.check_destruction(session, resource, typed_name)
            if needs_second_person(GuardedAct.RETIRE_NOW, resource.is_protected):
                return ask_second_person(
                    session, subject, resource, GuardedAct.RETIRE_NOW, self.clock()
                )
            self.destroy_now(session, actor_of(subject), resource)
            return None

    def check_destruction(self, session: Session, resource: Resource, typed_name: str) -> None:
        """Errors: InvalidInput, StateConflict."""
        allowed = (ResourceState.ACTIVE, ResourceState.STOPPED, ResourceState.RETIRING)
        if resource.state not in allowed:
            raise StateConflict(state=resource.state)
        faults = self._retire_faults(session, resource, typed_name)
        if faults:
            raise InvalidInput(faults)

    def destroy_now(self, session: Session, actor: Actor, resource: Resource) -> None:
        """Within a transaction that has checked it."""
        provisioning.audit_resource(
            session, actor, "resource_retired_at_once", resource, self.clock()
        )
        self._destroy(session, resource)

    def _destroy_without_backup(
        self, session: Session, subject: Subject, resource: Resource, typed_name: str
    ) -> None:
        """Errors: StateConflict (no last backup has failed), ResourceBusy, InvalidInput."""
        provisioning.check_idle(session, resource)
        backup = last_backup_that_failed(session, resource.id)
        if backup is None:
            raise StateConflict(state=resource.state)
        faults = self._retire_faults(session, resource, typed_name)
        if faults:
            raise InvalidInput(faults)
        self._audit(session, subject, "resource_retired_without_backup", resource, backup=backup)
        service = self.catalogue.of(resource)
        enqueue_destruction(session, self.settings, service, resource, self.clock())

    def destroy_due(self) -> int:
        """Starts destroying what has passed its grace period; returns how many. A tick."""
        now = self.clock()
        with self.db.transaction() as session:
            due = provisioning.due_for_destruction(session, now)
            for resource in due:
                self._destroy(session, resource)
            return len(due)

    def lapse_asks(self) -> int:
        """Drops what has waited too long for a second person; returns how many. A tick."""
        with self.db.transaction() as session:
            return lapse_asks(session, self.clock(), self.settings.second_person_days)

    def end_grace(self) -> int:
        """Starts to end the validity of secrets that a rotation replaced, where their grace time
        is over; returns how many resources. A tick."""
        now = self.clock()
        with self.db.transaction() as session:
            return sum(
                self._end_grace(session, resource_id)
                for resource_id in credentials.past_grace(session, now)
            )

    def _end_grace(self, session: Session, resource_id: str) -> bool:
        resource = provisioning.lock_resource(session, resource_id)
        service = self.catalogue.find(resource)
        action = service.grace_ending_action if service else None
        if service is None or action is None or resource.state not in action.states:
            return False
        try:
            provisioning.check_idle(session, resource)
        except StateConflict:
            return False  # the next tick finds it again
        payload = {"spec": resource.spec, "to_state": None, "ends_grace": True}
        enqueue_action(session, self.settings, service, action, resource, self.clock(), payload)
        return True

    def _destroy(self, session: Session, resource: Resource) -> None:
        """A service with backups takes a last one first."""
        service = self.catalogue.of(resource)
        start_destruction(session, self.settings, service, resource, self.clock())

    # --- jobs -----------------------------------------------------------------------------------

    def retry_job(self, subject: Subject, job_id: int) -> None:
        """A platform engineer gives a failed job new tries. Errors: NotFound, StateConflict."""
        now = self.clock()
        with self.db.transaction() as session:
            job = self._job(session, subject, job_id)
            if job.state not in (JobState.FAILED, JobState.CANCELLED) or not is_retryable(job):
                raise StateConflict(state=job.state)
            provisioning.retry_job(job, now, job.error)
            job.attempts_max = job.attempt + self.settings.job_attempts_max
            job.finished_at, job.cancel_asked = None, False
            self._audit_job(session, subject, "job_retried", job)

    def cancel_job(self, subject: Subject, job_id: int) -> None:
        """Asks for a job to be ended: at once if it waits, at the next heartbeat if it runs."""
        with self.db.transaction() as session:
            job = self._job(session, subject, job_id)
            if job.state not in (JobState.QUEUED, JobState.RUNNING):
                raise StateConflict(state=job.state)
            job.cancel_asked = True
            if job.state == JobState.QUEUED:
                job.attempts_max = job.attempt
            self._audit_job(session, subject, "job_cancel_asked", job)

    # --- helpers --------------------------------------------------------------------------------

    def _resource(
        self, session: Session, subject: Subject, resource_id: str, action: str
    ) -> Resource:
        return lock_for(session, subject, resource_id, action)

    @staticmethod
    def _job(session: Session, subject: Subject, job_id: int) -> Job:
        if not policy.is_allowed(subject, "job.manage"):
            raise Forbidden
        job = session.get(Job, job_id, with_for_update={"of": Job})
        if job is None:
            raise NotFound
        return job

    def _audit(
        self, session: Session, subject: Subject, event: str, resource: Resource, **data: Any
    ) -> None:
        actor = actor_of(subject)
        provisioning.audit_resource(session, actor, event, resource, self.clock(), **data)

    def _audit_job(self, session: Session, subject: Subject, event: str, job: Job) -> None:
        audit.record(
            session,
            Actor(subject.person_id, subject.name),
            event,
            at=self.clock(),
            object_type="job",
            object_id=job.number,
            department_id=job.resource.department_id if job.resource else None,
        )


def is_retryable(job: Job) -> bool:
    """Whether trying again makes sense: not for a build or a change whose request has failed."""
    if job.resource is None:
        return True
    state = job.resource.state
    if "upgrade_member_id" in job.payload and "revert" not in job.payload:
        return False  # it has gone back, or is about to; its campaign tries again
    if "backup_id" in job.payload or "other_id" in job.payload:
        return state not in (ResourceState.FAILED, ResourceState.RETIRED)
    return state in (
        ResourceState.DESTROYING,
        ResourceState.CHANGING,
        ResourceState.BUILDING,
        ResourceState.FAILED,
    ) and (state != ResourceState.FAILED or "cleanup" in job.payload)


def _account_faults(action: Action, resource: Resource, form: Mapping[str, Any]) -> list[Fault]:
    """A new account has a name of its own, and there is an end to them."""
    name = action.draws_for
    if not name or "source" in action.inputs[name].get("x-ui", {}):
        return []
    there = [account["name"] for account in resource.outputs.get("accounts") or ()]
    if form[name] in there:
        return [Fault("account_taken", name)]
    if len(there) >= ACCOUNTS_MAX:
        return [Fault("too_many_accounts", name, {"limit": ACCOUNTS_MAX})]
    return []
