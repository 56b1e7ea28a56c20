"""What follows when a job ends well: for its request, its resource, claims, secrets, metering."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from controlplane import audit, backup_jobs, certificate_jobs, upgrade_jobs
from controlplane.admission import service as admission
from controlplane.catalogue.services import Action
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.rules import CredentialState
from controlplane.jobs import follow_rotation, service_of, start_build, sync_quota
from controlplane.machines import machine_of, part_of, tenant_of
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.pairs import Next, follows
from controlplane.provisioning.rules import JobState, ResourceState, SiteState
from controlplane.service_requests import service as requests
from controlplane.service_requests.models import ServiceRequest
from controlplane.standing import parent_in
from controlplane.supplying import spec_of


class GoodEnds:
    """Works within the transaction that ends the job."""

    def __init__(self, catalogue: Catalogue, settings: Settings, clock: Clock) -> None:
        self.catalogue = catalogue
        self.settings = settings
        self.clock = clock

    def follow(
        self, session: Session, job: Job, outputs: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> None:
        """The playbook did its work, and the cloud drew `secrets` for it."""
        if job.resource is None:
            self._complete_site(session, job, outputs)
            return
        now = self.clock()
        resource = provisioning.lock_resource(session, job.resource.id)
        action = self._action(job)
        kind = action.kind if action else ""
        self._keep_issued(session, resource, kind, secrets)
        if job.payload.get("cleanup"):
            credentials.forget(session, resource.id)
            admission.release_request(session, resource.request_id, now)
            return
        signed = certificate_jobs.complete(session, self.settings, job, resource, action, now)
        outputs = {**outputs, **signed}
        if kind == "create":
            self._built(session, job, resource, outputs)
        elif kind == "change":
            self._changed(session, job, resource, outputs)
        elif kind == "retire":
            self._destroyed(session, resource)
        elif kind == upgrade_jobs.KIND:
            if upgrade_jobs.complete(session, job, resource, outputs, now):
                backup_jobs.meter(session, resource, now)
        elif kind in backup_jobs.KINDS:
            service = self.catalogue.of(resource)
            backup_jobs.complete(session, self.settings, service, job, resource, kind, outputs, now)
        else:
            self._operated(session, job, resource, outputs)

    def _action(self, job: Job) -> Action | None:
        service = service_of(self.catalogue, job)
        return service.action(job.action) if service else None

    def _keep_issued(
        self, session: Session, resource: Resource, kind: str, secrets: Mapping[str, str]
    ) -> None:
        state = CredentialState.CURRENT if kind == "create" else CredentialState.NEXT
        keyring = Keyring(self.settings.credential_keys)
        credentials.keep(session, keyring, resource.id, secrets, state, self.clock())

    def _complete_site(self, session: Session, job: Job, outputs: Mapping[str, Any]) -> None:
        site = job.site
        assert site is not None
        site.quota_synced = job.payload.get("quota")
        if job.action == provisioning.ONBOARD:
            site.outputs, site.state = dict(outputs), SiteState.READY
            sync_quota(session, self.settings, site, self.clock())

    def _built(
        self, session: Session, job: Job, resource: Resource, outputs: Mapping[str, Any]
    ) -> None:
        resource.outputs = dict(outputs)
        follow = follows(part_of(session, resource), "create", JobState.SUCCEEDED)
        if follow is Next.BUILD_TENANT:
            tenant = tenant_of(session, resource)
            assert tenant is not None
            start_build(session, self.settings, self.catalogue, tenant, self.clock())
            return
        if follow is Next.DELIVER_BOTH:
            machine = machine_of(session, resource)
            assert machine is not None
            self._delivered(session, machine)
            certificate_jobs.delivered(session, self.settings, resource, self.clock())
        self._delivered(session, resource)
        self._fulfil(session, job, resource)

    def _delivered(self, session: Session, resource: Resource) -> None:
        now = self.clock()
        resource.state, resource.delivered_at = ResourceState.ACTIVE, now
        backup_jobs.meter(session, resource, now)

    def _changed(
        self, session: Session, job: Job, resource: Resource, outputs: Mapping[str, Any]
    ) -> None:
        resource.state = job.payload["resume_state"]
        resource.outputs = {**resource.outputs, **outputs}
        assert job.request_id is not None
        resource.parent_id = parent_in(self.catalogue.of(resource), spec_of(job))
        if job.payload.get("revert"):
            admission.release_request(session, job.request_id, self.clock())
            return
        request = session.get_one(ServiceRequest, job.request_id)
        resource.spec, resource.capacity = request.spec, request.capacity
        admission.settle(session, request.id, self.clock())
        self._fulfil(session, job, resource)
        backup_jobs.meter(session, resource, self.clock())

    def _operated(
        self, session: Session, job: Job, resource: Resource, outputs: Mapping[str, Any]
    ) -> None:
        service = self.catalogue.of(resource)
        told = {**resource.outputs, **outputs}
        resource.outputs = {name: value for name, value in told.items() if value is not None}
        resource.spec = job.payload.get("spec", resource.spec)
        resource.parent_id = parent_in(service, resource.spec)
        action = self._action(job)
        if action is not None and action.rotates:
            grace = timedelta(hours=action.grace_hours)
            credentials.promote(session, resource.id, self.clock(), grace)
            follow_rotation(session, self.catalogue, self.settings, resource, self.clock())
        if action is not None:
            credentials.keep_accounts(session, resource.id, action, job.payload.get("inputs", {}))
        if job.payload.get("ends_grace"):
            credentials.drop(session, resource.id, CredentialState.PREVIOUS)
        if job.payload.get("to_state") and resource.state != ResourceState.RETIRING:
            resource.state = job.payload["to_state"]

    def _destroyed(self, session: Session, resource: Resource) -> None:
        now = self.clock()
        resource.state, resource.retired_at = ResourceState.RETIRED, now
        resource.parent_id = None
        credentials.forget(session, resource.id)
        admission.release_resource(session, resource.id, now)
        backup_jobs.meter(session, resource, now)
        provisioning.audit_resource(session, audit.SYSTEM, "resource_retired", resource, now)
        follow = follows(part_of(session, resource), "retire", JobState.SUCCEEDED)
        machine = machine_of(session, resource)
        if follow is Next.DESTROY_MACHINE and machine is not None:
            below = self.catalogue.of(machine)
            backup_jobs.start_destruction(session, self.settings, below, machine, now)

    def _fulfil(self, session: Session, job: Job, resource: Resource) -> None:
        assert job.request_id is not None
        request = requests.lock_request(session, job.request_id)
        now = self.clock()
        requests.move_request(request, "deliver", now)
        provisioning.audit_resource(
            session, audit.SYSTEM, "request_fulfilled", resource, now, request=request.number
        )
