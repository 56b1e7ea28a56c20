"""Machines that are ordered with what runs on them: made, found, and how to get into them.

What follows from one for the other is `provisioning.pairs`. The machine's secrets are sealed with
its own id: the platform's key to it, the server's administrator and certificate. They are told only
to the runs of what stands on it, and shown to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sqlalchemy.orm import Session

from controlplane.access import Login
from controlplane.catalogue.services import Service
from controlplane.catalogue.versions import Catalogue
from controlplane.certificates.authority import Authority
from controlplane.config import Settings
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.rules import CredentialState
from controlplane.machine_certificates import (
    SERVER_CERTIFICATE,
    SERVER_KEY,
    first_of,
    take_into_register,
)
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Resource
from controlplane.provisioning.pairs import MACHINE, Part, machine_id_of
from controlplane.provisioning.rules import ResourceState
from controlplane.service_requests.models import ServiceRequest

#: Who logs in where an image does not say: the golden images are the platform's own.
LOGIN_USER = "root"
MANAGEMENT_KEY, ADMIN_PASSWORD = "management_key", "admin_password"


def part_of(session: Session, resource: Resource) -> Part:
    if resource.spec.get(MACHINE):
        return Part.TENANT
    return Part.ALONE if tenant_of(session, resource) is None else Part.MACHINE


def tenant_of(session: Session, machine: Resource) -> Resource | None:
    """What a machine was ordered for; None for one that was ordered for its own sake."""
    request = session.get_one(ServiceRequest, machine.request_id)
    if request.resource_id is None or machine_id_of(request.resource_id) != machine.id:
        return None
    return session.get(Resource, request.resource_id)


def machine_of(session: Session, tenant: Resource) -> Resource | None:
    """The machine that was ordered with a resource, locked; None where it has none of its own."""
    machine_id = tenant.spec.get(MACHINE)
    return provisioning.lock_resource(session, machine_id) if machine_id else None


def holder_id(service: Service, spec: Mapping[str, Any], resource_id: str) -> str:
    """The resource whose capacity it is: the machine's, where there is one."""
    return resource_id if service.machine_form_of(spec) is None else machine_id_of(resource_id)


def new_machine(
    session: Session,
    settings: Settings,
    catalogue: Catalogue,
    service: Service,
    tenant: Resource,
    request: ServiceRequest,
    now: datetime,
) -> Resource | None:
    """The machine of an approved order, with its secrets drawn, and `tenant` standing on it; None
    where the plan brings none."""
    form = service.machine_form_of(request.spec)
    below = catalogue.get(service.machine.service) if service.machine else None
    if form is None or below is None:
        return None
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    spec = below.spec_of({**form, **dict.fromkeys(below.key_fields, f"{public} egov")})
    machine = Resource(
        id=machine_id_of(tenant.id),
        number=provisioning.resource_number(session, now),
        request_id=request.id,
        department_id=request.department_id,
        service=below.code,
        service_version=below.version,
        name=below.resource_name_of(spec),
        zone=request.zone,
        pool_code=tenant.pool_code,
        state=ResourceState.BUILDING,
        spec=spec,
        capacity=request.capacity,
        outputs={},
        created_at=now,
        expires_at=None,  # it ends with what stands on it
    )
    session.add(machine)
    session.flush()
    tenant.spec, tenant.capacity = {**tenant.spec, MACHINE: machine.id}, {}
    tenant.parent_id = machine.id
    keyring = Keyring(settings.credential_keys)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    drawn = {MANAGEMENT_KEY: private}
    credentials.keep(session, keyring, machine.id, drawn, CredentialState.CURRENT, now)
    credentials.draw_missing(session, keyring, machine.id, [ADMIN_PASSWORD], now)
    return machine


def admin_passwords(
    session: Session, settings: Settings, tenant_ids: Iterable[str]
) -> dict[str, str]:
    """Of the servers on machines, by the id of what runs there. Errors: ConfigurationMissing."""
    tenants = {machine_id_of(each): each for each in tenant_ids}
    keyring = Keyring(settings.credential_keys)
    found = credentials.open_one(session, keyring, tenants, ADMIN_PASSWORD)
    return {tenants[machine_id]: password for machine_id, password in found.items()}


def logins(session: Session, settings: Settings, machines: Iterable[Resource]) -> dict[str, Login]:
    """How to get into delivered machines, by their ids; of those only that were ordered with what
    runs on them. Errors: ConfigurationMissing."""
    proven = {m.id: m for m in machines if m.outputs.keys() >= {"host_key", "addresses"}}
    keyring = Keyring(settings.credential_keys)
    keys = credentials.open_one(session, keyring, proven, MANAGEMENT_KEY)
    return {
        machine_id: Login(
            _address(proven[machine_id]), LOGIN_USER, proven[machine_id].outputs["host_key"], key
        )
        for machine_id, key in keys.items()
    }


def _address(machine: Resource) -> str:
    addresses = machine.outputs["addresses"]
    return str(addresses.get("floating") or addresses["fixed"])


def data_gib(machine: Resource) -> int:
    """Of the volume that the data of what runs on it lie on."""
    return int(machine.spec["data_volumes"][0]["size_gib"])


def way_in(
    session: Session, settings: Settings, machine: Resource, tenant: Resource, now: datetime
) -> tuple[Login, dict[str, Any]]:
    """How a run for `tenant` gets into its delivered machine, and what it is told for the server on
    it. Errors: ConfigurationMissing; KeyError (it was never proven)."""
    keyring = Keyring(settings.credential_keys)
    secrets = credentials.open_all(session, keyring, machine.id).get(CredentialState.CURRENT, {})
    authority = Authority(settings.authority, settings.lists_url)
    if SERVER_CERTIFICATE in secrets:
        take_into_register(session, authority, tenant, secrets[SERVER_CERTIFICATE], now)
    else:
        secrets |= first_of(session, authority, keyring, machine, tenant, now)
    root = authority.root_pem
    host_key = machine.outputs["host_key"]
    address = _address(machine)
    login = Login(address, LOGIN_USER, host_key, secrets[MANAGEMENT_KEY], root)
    told = {
        "resource_id": machine.id,
        "address": address,
        "data_gib": data_gib(machine),
        "outputs": machine.outputs,
        ADMIN_PASSWORD: secrets[ADMIN_PASSWORD],
        SERVER_KEY: secrets[SERVER_KEY],
        SERVER_CERTIFICATE: secrets[SERVER_CERTIFICATE],
    }
    return login, told
