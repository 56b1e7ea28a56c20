"""Archives that departments upload: received, checked whole, kept by their content while used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import audit, policy
from controlplane.audit import SYSTEM, Actor
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.db import Database
from controlplane.errors import Fault, Forbidden, InvalidInput
from controlplane.policy import Subject
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.rules import OPEN_STATES
from controlplane.tenancy.service import get_department
from controlplane.uploads import service as uploads
from controlplane.uploads.archives import check_archive
from controlplane.uploads.models import Upload
from controlplane.uploads.rules import Limits
from controlplane.uploads.store import Draft, NoRoomError, Readable, TooLargeError, UploadStore

MIB = 2**20


class Uploads:
    def __init__(
        self, db: Database, catalogue: Catalogue, settings: Settings, clock: Clock
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.settings = settings
        self.clock = clock
        self.store = UploadStore(settings.uploads_dir, settings.upload_store_reserve_mib * MIB)

    @property
    def limits(self) -> Limits:
        settings = self.settings
        return Limits(
            settings.upload_max_mib * MIB,
            settings.upload_unpacked_max_mib * MIB,
            settings.upload_members_max,
        )

    def receive(
        self, subject: Subject, department_id: int | None, filename: str, stream: Readable
    ) -> Upload:
        """What the stream gives, once it is proven harmless; nothing of it is unpacked.

        Errors: Forbidden, NotFound (the department), InvalidInput with everything wrong with it.
        """
        department_id = department_id or subject.department_id
        with self.db.read() as session:
            self._check_may_upload(session, subject, department_id)
        limits = self.limits
        try:
            with self.store.take_in(stream, limits.archive_bytes) as draft:
                return self._keep(subject, department_id, filename, draft, limits)
        except TooLargeError:
            raise InvalidInput(
                [Fault("upload_too_large", "", {"limit": self.settings.upload_max_mib})]
            ) from None
        except NoRoomError:
            raise InvalidInput([Fault("upload_no_room")]) from None

    def _keep(
        self, subject: Subject, department_id: int, filename: str, draft: Draft, limits: Limits
    ) -> Upload:
        checked, faults = check_archive(draft.path, limits)
        if checked is None:
            raise InvalidInput(faults)
        with self.db.transaction() as session:
            uploads.lock(session)
            self._check_room_of_department(session, department_id, draft)
            self.store.keep(draft)
            row = uploads.note_upload(
                session,
                draft,
                checked,
                department_id=department_id,
                person_id=subject.person_id,
                filename=filename,
                now=self.clock(),
            )
            audit.record(
                session,
                Actor(subject.person_id, subject.name),
                "archive_uploaded",
                at=self.clock(),
                object_type="upload",
                object_id=row.sha256,
                department_id=department_id,
                filename=row.filename,
                size_bytes=row.size_bytes,
            )
            return row

    def delete_unused(self) -> int:
        """Deletes what nobody has named for long; how many uploads.

        Used is what a request that is still open names, a resource that stands, or any order that
        made it what it is: it may be rolled back to that. A file goes with its last upload; killed
        between the two, the next call does the rest.
        """
        moment = self.clock() - timedelta(days=self.settings.upload_unused_days)
        self.store.remove_old_drafts()
        with self.db.transaction() as session:
            uploads.lock(session)
            old = uploads.uploaded_before(session, moment)
            used = set(self._named(session)) if old else set()
            unused = [row for row in old if (row.department_id, row.sha256) not in used]
            for row in unused:
                self._delete(session, row)
        return len(unused)

    def _delete(self, session: Session, row: Upload) -> None:
        session.delete(row)
        session.flush()
        if not uploads.is_noted(session, row.sha256):
            self.store.remove(row.sha256)
        audit.record(
            session,
            SYSTEM,
            "archive_deleted",
            at=self.clock(),
            object_type="upload",
            object_id=row.sha256,
            department_id=row.department_id,
            filename=row.filename,
            size_bytes=row.size_bytes,
        )

    def _named(self, session: Session) -> Iterator[tuple[int, str]]:
        """(department id, checksum) of every upload that is used."""
        services = [code for code, each in self.catalogue.known.items() if each.upload_field]
        gone = (ResourceState.RETIRED, ResourceState.FAILED)
        stands = sa.select(Resource.id).where(
            Resource.service.in_(services), Resource.state.not_in(gone)
        )
        requests = sa.select(ServiceRequest).where(
            ServiceRequest.service.in_(services),
            ServiceRequest.state.in_(OPEN_STATES) | ServiceRequest.resource_id.in_(stands),
        )
        for request in session.scalars(requests):
            yield request.department_id, self._upload_in(request, request.form)
        for resource in session.scalars(sa.select(Resource).where(Resource.id.in_(stands))):
            yield resource.department_id, self._upload_in(resource, resource.spec)

    def _upload_in(self, row: ServiceRequest | Resource, told: Mapping[str, Any]) -> str:
        service = self.catalogue.find(row)
        field = service.upload_field if service else None
        return str(told.get(field, "")) if field else ""

    def _check_may_upload(self, session: Session, subject: Subject, department_id: int) -> None:
        department = get_department(session, department_id)
        if not policy.is_allowed(subject, "request.create", department_path=department.path):
            raise Forbidden

    def _check_room_of_department(self, session: Session, department_id: int, draft: Draft) -> None:
        if uploads.find_upload(session, department_id, draft.sha256) is not None:
            return
        limit = self.settings.upload_department_max_mib
        if uploads.bytes_of(session, department_id) + draft.size_bytes > limit * MIB:
            raise InvalidInput([Fault("upload_department_full", "", {"limit": limit})])
