"""证书: what the authority has issued; for everybody, its certificates and revocation lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from flask import Blueprint, Response, render_template, request
from flask_babel import gettext

from controlplane.certificate_jobs import authority_of
from controlplane.certificates.authority import ROOT, Authority
from controlplane.certificates.models import Certificate, RevocationList
from controlplane.errors import NotFound
from controlplane.reports import certificates as reports
from controlplane.reports.certificates import CertificateFilter
from ui.lists import page_number, page_url
from ui.session import allow, control_plane, subject
from ui.states import STATES

certificates_pages = Blueprint("certificates", __name__)
#: RFC 5280, 4.2.1.13: a client that checks a certificate is signed in nowhere.
pki_pages = Blueprint("pki", __name__, url_prefix="/pki")

PEM, DER_CERTIFICATE, DER_LIST = (
    "application/pem-certificate-chain",  # RFC 8555, 9.1
    "application/pkix-cert",  # RFC 2585, 3
    "application/pkix-crl",
)


@dataclass(frozen=True)
class Issuing:
    """An issuing authority with its newest revocation list."""

    label: str
    name: str
    listed: RevocationList | None


@dataclass(frozen=True)
class AuthorityCard:
    """What a client needs to trust the authority; the one that signs now first."""

    fingerprint: str
    issuing: tuple[Issuing, ...]


@certificates_pages.get("/certificates")
def index() -> str:
    """Certificates that the person may see, and the authority behind them."""
    allow("certificate.view")
    now = control_plane().clock()
    state = request.args.get("state", "")
    chosen = CertificateFilter(
        state if state in reports.STATES else "", request.args.get("q", "").strip()
    )
    with control_plane().db.read() as session:
        return render_template(
            "certificates/index.html",
            page=reports.list_certificates(session, subject(), chosen, now, page_number()),
            page_url=page_url(),
            chosen=chosen,
            states=[(s, STATES["certificate"][s].word) for s in reports.STATES],
            state_now=lambda row: reports.state_now(row, now),
            reason_name=reason_name,
            authority=card_of(list(reports.revocation_lists(session))),
        )


@certificates_pages.get("/certificates/<serial>.pem")
def file(serial: str) -> Response:
    """One certificate with its issuer, as a server sends them."""
    allow("certificate.view")
    with control_plane().db.read() as session:
        row = reports.find_certificate(session, subject(), serial)
    pem = row.pem + authority().chain_pem(row.issuer)
    return _file(pem.encode(), PEM, f"{row.names[0]}.pem")


@pki_pages.get("/<label>.crt")
def certificate(label: str) -> Response:
    """The root's certificate or an issuing authority's, in DER."""
    _known(label)
    return _file(authority().certificate(label).public_bytes(Encoding.DER), DER_CERTIFICATE)


@pki_pages.get("/<label>.crl")
def revocations(label: str) -> Response:
    """The newest revocation list of an authority, in DER."""
    _known(label)
    if label == ROOT:
        return _file((authority().folder / "root.crl").read_bytes(), DER_LIST)
    with control_plane().db.read() as session:
        row = session.get(RevocationList, label)
    if row is None:
        raise NotFound
    response = _file(row.der, DER_LIST)
    response.last_modified = row.this_update
    return response


@pki_pages.get("/chain.pem")
def chain() -> Response:
    """Every issuing authority and the root, in PEM."""
    _known(ROOT)
    labels = [*reversed(authority().issuing()), ROOT]
    return _file("".join(authority().chain_pem(label) for label in labels).encode(), PEM)


def authority() -> Authority:
    return authority_of(control_plane().settings)


def card_of(lists: list[RevocationList]) -> AuthorityCard | None:
    made = authority()
    if not made.exists:
        return None
    by_label = {row.issuer: row for row in lists}
    issuing = tuple(
        Issuing(label, _common_name(made, label), by_label.get(label))
        for label in reversed(made.issuing())
    )
    return AuthorityCard(made.certificate(ROOT).fingerprint(hashes.SHA256()).hex(":"), issuing)


def reason_name(reason: str) -> str:
    """The word for a reason of a revocation."""
    names = {
        "key_compromise": gettext("密钥泄露"),
        "superseded": gettext("已被新证书取代"),
        "cessation_of_operation": gettext("服务停止运行"),
        "affiliation_changed": gettext("隶属关系变更"),
        "certificate_hold": gettext("暂停使用"),
    }
    return names.get(reason, reason)


def certificate_state(row: Certificate) -> str:
    return reports.state_now(row, control_plane().clock())


def _common_name(made: Authority, label: str) -> str:
    found: Any = made.certificate(label).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value)


def _known(label: str) -> None:
    """Errors: NotFound."""
    made = authority()
    if not made.exists or label not in (ROOT, *made.issuing()):
        raise NotFound


def _file(content: bytes, content_type: str, name: str = "") -> Response:
    response = Response(content, content_type=content_type)
    if name:
        response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Cache-Control"] = "max-age=300"
    return response
