"""What time does with certificates: renewed before their end, revocation lists signed anew."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.audit import SYSTEM
from controlplane.catalogue.services import Action
from controlplane.catalogue.versions import Catalogue
from controlplane.certificate_jobs import authority_of
from controlplane.certificates import service as certificates
from controlplane.certificates.rules import CertificateState, renewal_is_due
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.db import Database
from controlplane.errors import StateConflict
from controlplane.jobs import enqueue_action
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.rules import ResourceState

#: The action by which time renews.
RENEW = "renew"
#: How long after a renewal that failed for good the next one is tried.
TRY_AGAIN = timedelta(days=1)


class Certifying:
    """Each public method is a tick: idempotent, one transaction for each resource."""

    def __init__(
        self, db: Database, catalogue: Catalogue, settings: Settings, clock: Clock
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.settings = settings
        self.clock = clock
        self.authority = authority_of(settings)

    def refresh_lists(self) -> int:
        """Signs the revocation lists that are due; returns how many."""
        if not self.authority.exists:
            return 0
        with self.db.transaction() as session:
            return certificates.refresh_lists(session, self.authority, self.clock())

    def renew_due(self) -> int:
        """Starts to renew what ends within 30 days; returns how many resources."""
        with self.db.read() as session:
            due = certificates.due_for_renewal(session, self.clock())
        return sum(self._renew(resource_id) for resource_id in due)

    def _renew(self, resource_id: str) -> bool:
        now = self.clock()
        with self.db.transaction() as session:
            resource = provisioning.lock_resource(session, resource_id)
            service = self.catalogue.find(resource)
            action = service.action(RENEW) if service else None
            if service is None or action is None or not self._is_due(session, resource, action):
                return False
            payload = {"spec": resource.spec, "to_state": None}
            job = enqueue_action(session, self.settings, service, action, resource, now, payload)
            provisioning.audit_resource(
                session, SYSTEM, "certificate_renewal_due", resource, now, job=job.number
            )
            return True

    def _is_due(self, session: Session, resource: Resource, action: Action) -> bool:
        """Looked at again under the lock; one that failed for good is tried once a day."""
        now = self.clock()
        row = certificates.in_force(session, resource.id)
        if row is None or row.state != CertificateState.VALID:
            return False
        if resource.state != ResourceState.ACTIVE or not renewal_is_due(row.not_after, now):
            return False
        try:
            provisioning.check_idle(session, resource)
        except StateConflict:
            return False  # the next tick finds it again
        tried = session.scalar(
            sa.select(sa.func.max(Job.created_at)).where(
                Job.resource_id == resource.id, Job.action == action.code
            )
        )
        return tried is None or now >= tried + TRY_AGAIN
