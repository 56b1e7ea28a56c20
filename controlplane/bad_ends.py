"""What follows when a job ends badly: for its request, its resource, the claims and the secrets."""

from __future__ import annotations

from sqlalchemy.orm import Session

from controlplane import audit, backup_jobs, certificate_jobs, upgrade_jobs
from controlplane.admission import service as admission
from controlplane.catalogue.versions import Catalogue
from controlplane.certificates.rules import SERVING
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.credentials import service as credentials
from controlplane.credentials.rules import CredentialState
from controlplane.jobs import enqueue_action, service_of
from controlplane.machines import machine_of, part_of, tenant_of
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.pairs import Next, Part, follows
from controlplane.provisioning.rules import JobState, ResourceState, SiteState
from controlplane.service_requests import service as requests
from controlplane.standing import parent_in


class BadEnds:
    """Works within the transaction that ends the job."""

    def __init__(self, catalogue: Catalogue, settings: Settings, clock: Clock) -> None:
        self.catalogue = catalogue
        self.settings = settings
        self.clock = clock

    def follow(self, session: Session, job: Job, error: str, *, began: bool) -> None:
        """`began`: whether anything of the job may be on the cloud."""
        if job.resource is None:
            if job.action == provisioning.ONBOARD and job.site is not None:
                job.site.state = SiteState.FAILED
            return
        if job.payload.get("cleanup") or job.payload.get("revert"):
            return  # engineers see the failed job and try it again; nothing is given back unproven
        resource = provisioning.lock_resource(session, job.resource.id)
        service = service_of(self.catalogue, job)
        action = service.action(job.action) if service else None
        kind = action.kind if action else ""
        if kind == "create":
            self._fail_request(session, job, error)
            self._give_up(session, resource, began)
        elif kind == "change":
            self._fail_request(session, job, error)
            self._go_back(session, job, resource, began)
        elif kind == upgrade_jobs.KIND and service is not None:
            now = self.clock()
            upgrade_jobs.fail(
                session, self.settings, service, job, resource, error, now, began=began
            )
        elif kind == "operate":
            resource.parent_id = parent_in(self.catalogue.of(resource), resource.spec)
            if action is not None and action.certifies in SERVING:
                self._serve_as_before(session, job, resource, began)
            else:
                credentials.drop(session, resource.id, CredentialState.NEXT)
        elif kind in backup_jobs.KINDS:
            backup_jobs.fail(session, job, resource, kind, error, self.clock())

    def _give_up(self, session: Session, resource: Resource, began: bool) -> None:
        """Of a machine and what was to run on it neither comes about: what is on the cloud is the
        machine, and goes as one."""
        part = part_of(session, resource)
        if follows(part, "create", JobState.FAILED) is Next.NOTHING:
            self._give_up_build(session, resource, began)
            return
        machine = machine_of(session, resource) if part is Part.TENANT else resource
        tenant = resource if part is Part.TENANT else tenant_of(session, resource)
        assert machine is not None
        assert tenant is not None
        tenant.state, tenant.parent_id = ResourceState.FAILED, None
        certificate_jobs.withdraw(session, self.settings, tenant, self.clock())
        credentials.forget(session, tenant.id)
        self._give_up_build(session, machine, began or part is Part.TENANT)

    def _give_up_build(self, session: Session, resource: Resource, began: bool) -> None:
        """Hold and quota come back once the cloud is known to be clean: at once if it was."""
        now = self.clock()
        resource.state = ResourceState.FAILED
        resource.parent_id = None
        if not began:
            admission.release_request(session, resource.request_id, now)
            return
        service = self.catalogue.of(resource)
        payload = {"spec": resource.spec, "cleanup": True}
        retire = service.actions["retire"]
        enqueue_action(session, self.settings, service, retire, resource, now, payload)

    def _go_back(self, session: Session, job: Job, resource: Resource, began: bool) -> None:
        """A change half done is undone by the same playbook with before and after exchanged."""
        assert job.request_id is not None
        if not began:
            resource.state = job.payload["resume_state"]
            resource.parent_id = parent_in(self.catalogue.of(resource), resource.spec)
            admission.release_request(session, job.request_id, self.clock())
            return
        service = self.catalogue.of(resource)
        payload = {
            "spec": job.payload["previous_spec"],
            "previous_spec": job.payload["spec"],
            "resume_state": job.payload["resume_state"],
            "revert": True,
        }
        enqueue_action(
            session,
            self.settings,
            service,
            service.actions[job.action],
            resource,
            self.clock(),
            payload,
            request_id=job.request_id,
        )

    def _serve_as_before(self, session: Session, job: Job, resource: Resource, began: bool) -> None:
        """What was signed for the run is revoked once nothing can be in service with it: at the end
        of the way back, at once where nothing had begun."""
        if not began:
            certificate_jobs.withdraw(session, self.settings, resource, self.clock())
            return
        service = self.catalogue.of(resource)
        action = service.actions[job.action]
        payload = {"revert": True, "to_state": None}
        enqueue_action(session, self.settings, service, action, resource, self.clock(), payload)

    def _fail_request(self, session: Session, job: Job, error: str) -> None:
        assert job.request_id is not None
        assert job.resource is not None
        now = self.clock()
        request = requests.lock_request(session, job.request_id)
        requests.move_request(request, "fail", now, error[:500])
        provisioning.audit_resource(
            session, audit.SYSTEM, "request_failed", job.resource, now, request=request.number
        )
