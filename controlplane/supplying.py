"""What a run is given of other things: the archive that its form names, how to get into the
database that its resource stands on, and the certificate that it serves with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from controlplane.access import Login
from controlplane.catalogue.services import Action
from controlplane.catalogue.versions import Catalogue
from controlplane.certificate_jobs import served
from controlplane.certificates.rules import SERVING
from controlplane.config import Settings
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.rules import CredentialState
from controlplane.errors import ConfigurationMissing
from controlplane.jobs import service_of
from controlplane.machines import way_in
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.pairs import MACHINE
from controlplane.standing import parent_in
from controlplane.uploads.service import find_upload
from controlplane.uploads.store import UploadStore


class _LackError(Exception):
    """The text says what is not there."""


def spec_of(job: Job) -> Mapping[str, Any]:
    """What the run shall bring about; without a spec of its own the job keeps its resource's."""
    spec = job.payload.get("spec")
    if spec is None:
        spec = job.resource.spec if job.resource else {}
    return dict(spec)


def supplies(
    session: Session, settings: Settings, catalogue: Catalogue, job: Job
) -> tuple[dict[str, Any], str]:
    """`upload` and `database` for the run, where its spec names them, `tls` where it serves with
    a certificate; and what is not there."""
    try:
        return _supplies(session, settings, catalogue, job), ""
    except _LackError as lack:
        return {}, str(lack)
    except ConfigurationMissing as missing:
        return {}, f"this deployment lacks {missing.params['what']}"


def _supplies(
    session: Session, settings: Settings, catalogue: Catalogue, job: Job
) -> dict[str, Any]:
    service = service_of(catalogue, job)
    if service is None or job.resource is None:
        return {}
    action = service.action(job.action)
    if action is not None and action.kind == "retire":
        return {}  # what is to go needs neither
    spec, given = spec_of(job), {}
    if service.upload_field and spec.get(service.upload_field):
        given["upload"] = _upload(session, settings, job.resource, spec[service.upload_field])
    if service.database_field and spec.get(service.database_field):
        database = session.get_one(Resource, parent_in(service, spec))
        given["database"] = _database(session, settings, catalogue, database)
    if service.serves_certificates and not _changes_what_is_served(job, action):
        given |= {"tls": tls} if (tls := served(session, settings, job.resource)) else {}
    return given


def _changes_what_is_served(job: Job, action: Action | None) -> bool:
    """Such a run is told its own certificate, or none; its way back, what was there before."""
    changes = action is not None and action.certifies in SERVING
    return changes and not job.payload.get("revert")


def way_into_machine(
    session: Session, settings: Settings, job: Job, now: datetime, other_id: str | None
) -> tuple[Login | None, dict[str, Any], str]:
    """For what runs on a machine of its own: the way in, `machine` for the run, `other_machine`
    beside it of the resource `other_id`, with which it exchanges data or which it is to be a copy
    of, and what is not there. A destruction needs none: the machine goes with all that is on it."""
    if job.resource is None or not spec_of(job).get(MACHINE) or job.action == "retire":
        return None, {}, ""
    login, told, lack = _into(session, settings, job.resource, now)
    other = session.get(Resource, other_id) if other_id else None
    if lack or other is None or MACHINE not in other.spec:
        return login, {"machine": told}, lack
    _, other_told, lack = _into(session, settings, other, now)
    return login, {"machine": told, "other_machine": other_told}, lack


def _into(
    session: Session, settings: Settings, tenant: Resource, now: datetime
) -> tuple[Login | None, dict[str, Any], str]:
    machine = session.get_one(Resource, tenant.spec[MACHINE])
    try:
        login, told = way_in(session, settings, machine, tenant, now)
    except ConfigurationMissing as missing:
        return None, {}, f"this deployment lacks {missing.params['what']}"
    except KeyError as missing:
        return None, {}, f"the machine {machine.number} has no {missing.args[0]} on record"
    return login, told, ""


def _upload(
    session: Session, settings: Settings, resource: Resource, sha256: str
) -> dict[str, Any]:
    row = find_upload(session, resource.department_id, sha256)
    path = UploadStore(settings.uploads_dir, 0).path(sha256)
    if row is None or not path.is_file():
        raise _LackError(f"the archive {sha256[:12]} is not in the store of uploads")
    return {
        "path": str(path.resolve()),
        "sha256": sha256,
        "format": row.format,
        "root": row.root,
        "filename": row.filename,
        "unpacked_mib": -(-row.unpacked_bytes // 2**20),
    }


def _database(
    session: Session, settings: Settings, catalogue: Catalogue, database: Resource
) -> dict[str, Any]:
    opened = credentials.open_all(session, Keyring(settings.credential_keys), database.id)
    return {
        "resource_id": database.id,
        "service": database.service,
        "engine": catalogue.of(database).engine_of(database.spec),
        "outputs": database.outputs,
        "secrets": opened.get(CredentialState.CURRENT, {}),
    }
