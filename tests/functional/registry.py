"""A city with a certificate authority, and the real `openssl` to judge what it signs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from controlplane.app import ControlPlane
from controlplane.certificate_jobs import authority_of
from controlplane.certificates.authority import Authority, new_key
from controlplane.certificates.models import Certificate, RevocationList
from controlplane.config import Settings
from controlplane.delivery import Run
from controlplane.pipeline import Ask
from controlplane.provisioning.models import Resource
from controlplane.reports import requests as request_reports
from tests.factories import City, FrozenClock, open_city
from tests.functional.depot import SERVICES

NAME = "www.civil-affairs.city.example"


@dataclass
class Registry:
    """`runs` are those carried out, in their order."""

    city: City
    folder: Path
    runs: list[Run] = field(default_factory=list)

    @property
    def control_plane(self) -> ControlPlane:
        return self.city.control_plane

    @property
    def authority(self) -> Authority:
        return authority_of(self.control_plane.settings)

    def order(self, login: str = "limin", **form: Any) -> int:
        asked = {"system_name": "门户", "plan": "year", "dns_names": NAME, **form}
        ask = Ask("certificate", "provision", "internet", asked)
        return self.control_plane.pipeline.submit_request(self.city.person(login), ask)

    def issued(self, login: str = "limin", **form: Any) -> str:
        """The id of a resource whose certificate was ordered, approved and signed."""
        request_id = self.order(login, **form)
        self.city.decide("zhangjing", request_id)
        self.carry_out()
        with self.control_plane.db.read() as session:
            request = request_reports.find_request(session, self.city.person(login), request_id)
            assert request.state == "fulfilled"
            assert request.resource_id is not None
            return request.resource_id

    def carry_out(self) -> list[str]:
        """Every waiting job as a worker whose plays succeed; names their actions."""
        done = []
        delivery = self.control_plane.delivery
        while (run := delivery.claim("test:1")) is not None:
            self.runs.append(run)
            if run.refusal is not None:
                delivery.fail(run, run.refusal.reason, final=run.refusal.is_final)
                continue
            delivery.complete(run, {})
            done.append(run.action)
        return done

    def operate(self, resource_id: str, action: str, **form: str) -> list[str]:
        operations, limin = self.control_plane.operations, self.city.person("limin")
        operations.operate_resource(limin, resource_id, action, form)
        return self.carry_out()

    def certificates(self, resource_id: str) -> list[Certificate]:
        """The oldest first."""
        with self.control_plane.db.read() as session:
            query = sa.select(Certificate).where(Certificate.resource_id == resource_id)
            return list(session.scalars(query.order_by(Certificate.id)))

    def resource(self, resource_id: str) -> Resource:
        with self.control_plane.db.read() as session:
            return session.get_one(Resource, resource_id)

    def lists(self, issuer: str = "issuing-1") -> dict[str, bytes]:
        """The newest lists of the root and of an issuing authority."""
        with self.control_plane.db.read() as session:
            row = session.get_one(RevocationList, issuer)
        root = (self.authority.folder / "root.crl").read_bytes()
        return {"root.crl": root, f"{issuer}.crl": row.der}

    def verify(self, row: Certificate, lists: dict[str, bytes]) -> str:
        """What `openssl verify` says of a certificate, with the lists of all its issuers checked;
        at the frozen clock's time."""
        folder = self.folder / "openssl"
        folder.mkdir(exist_ok=True)
        (folder / "leaf.pem").write_text(row.pem)
        (folder / "root.pem").write_text(self.authority.root_pem)
        (folder / "issuing.pem").write_text(self.authority.chain_pem(row.issuer))
        arguments = []
        for name, der in lists.items():
            path = folder / name
            path.write_bytes(der)
            openssl("crl", "-inform", "DER", "-in", str(path), "-out", f"{path}.pem")
            arguments += ["-CRLfile", f"{path}.pem"]
        at = str(int(self.city.clock().timestamp()))
        told = ("-attime", at, "-crl_check_all", *arguments, "-CAfile", str(folder / "root.pem"))
        untrusted = ("-untrusted", str(folder / "issuing.pem"), str(folder / "leaf.pem"))
        return openssl("verify", *told, *untrusted)


def openssl(*arguments: str) -> str:
    done = subprocess.run(
        ["openssl", *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout + done.stderr


def make_request(*names: str, common: str = "", key: Any = None, ca: bool = False) -> str:
    """A certificate request as a department would make one."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    request = builder.sign(key or new_key(), hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def open_registry(folder: Path, url: str) -> Registry:
    settings = Settings(var_dir=folder / "var")
    authority_of(settings).create("Sample City", FrozenClock()())
    return Registry(open_city(folder, url, services=SERVICES), folder)
