"""The certificate that the server on a machine serves with: in the register as its department's, by
what the machine was ordered for. Key and chain are sealed with the machine's id, and told only to
the runs of what stands on it."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from sqlalchemy.orm import Session

from controlplane import audit
from controlplane.certificates import service as certificates
from controlplane.certificates.authority import Authority
from controlplane.certificates.models import Certificate
from controlplane.certificates.rules import Request
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.rules import CredentialState
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Resource

SERVER_KEY, SERVER_CERTIFICATE = "server_key", "server_certificate"
#: As long as the longest lease, and a while: the authority's own end comes first if it is nearer.
VALID = timedelta(days=1200)


def server_request(machine: Resource) -> Request:
    """Where the server on a machine answers: its addresses, that of its clients first."""
    addresses = machine.outputs["addresses"]
    known = (addresses.get("floating"), addresses["fixed"])
    return Request((), tuple(dict.fromkeys(a for a in known if a)), None)


def sealed_as(authority: Authority, row: Certificate, key: str) -> dict[str, str]:
    """The secrets that a certificate comes to, by name."""
    return {SERVER_KEY: key, SERVER_CERTIFICATE: row.pem + authority.chain_pem(row.issuer)}


def first_of(
    session: Session,
    authority: Authority,
    keyring: Keyring,
    machine: Resource,
    tenant: Resource,
    now: datetime,
) -> dict[str, str]:
    """Signed when the machine's address is known, and kept: every later try sets the same. Pending
    until `tenant` is delivered. Errors: ConfigurationMissing."""
    request = server_request(machine)
    row, key = certificates.issue_served(session, authority, tenant, request, VALID, now)
    made = sealed_as(authority, row, key)
    credentials.keep(session, keyring, machine.id, made, CredentialState.CURRENT, now)
    audit_signed(session, tenant, row, now)
    return made


def take_into_register(
    session: Session, authority: Authority, tenant: Resource, chain: str, now: datetime
) -> None:
    """Of a machine that was delivered before its certificate stood in the register."""
    if certificates.certificates_of(session, tenant.id):
        return
    certificates.register(
        session, authority, tenant, x509.load_pem_x509_certificate(chain.encode()), now
    )


def audit_signed(session: Session, resource: Resource, row: Certificate, now: datetime) -> None:
    provisioning.audit_resource(
        session,
        audit.SYSTEM,
        "certificate_issued",
        resource,
        now,
        serial=row.serial,
        names=", ".join(row.names),
        expires_at=row.not_after.isoformat(),
    )
