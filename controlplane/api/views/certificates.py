"""`/certificates`: what the authority has issued. Ordering, renewing and revoking are actions of
the resource; the authority's own certificates and lists are public, at `/pki`."""

from __future__ import annotations

from typing import Any

from controlplane.api.paging import page_answer
from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.certificates import (
    CertificatePage,
    CertificateQuery,
    CertificateSchema,
)
from controlplane.certificates.models import Certificate
from controlplane.reports import certificates as reports
from controlplane.reports.certificates import CertificateFilter

routes = Routes("certificates", "Certificates that the city's authority has issued")


@routes.get(
    "/certificates", action="certificate.view", answer=CertificatePage, query=CertificateQuery
)
def list_certificates(query: dict[str, Any]) -> Any:
    """Every certificate that was ever issued, the newest first."""
    chosen = CertificateFilter(query["state"], query["q"].strip())
    now = control_plane().clock()
    with control_plane().db.read() as session:
        page = reports.list_certificates(session, current_subject(), chosen, now, query["page"])
        return page_answer(page, [_told(row) for row in page.rows])


@routes.get("/certificates/<serial>", action="certificate.view", answer=CertificateSchema)
def get_certificate(serial: str) -> dict[str, Any]:
    """One certificate by its serial number."""
    with control_plane().db.read() as session:
        return _told(reports.find_certificate(session, current_subject(), serial))


def _told(row: Certificate) -> dict[str, Any]:
    shown = ("serial", "issuer", "resource_id", "names", "not_before", "not_after", "reason")
    told = {name: getattr(row, name) for name in (*shown, "revoked_at", "pem")}
    return told | {"state": reports.state_now(row, control_plane().clock())}
