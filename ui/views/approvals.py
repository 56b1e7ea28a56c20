"""审批: what waits for the person's offices, and what they have decided."""

from __future__ import annotations

from flask import Blueprint, render_template

from controlplane.reports import requests as reports
from ui.lists import page_number, page_url
from ui.session import allow, control_plane, subject

approvals_pages = Blueprint("approvals", __name__)


@approvals_pages.get("/approvals/to-do")
def to_do() -> str:
    """待办, the longest waiting first."""
    allow("approval.view")
    plane = control_plane()
    with plane.db.read() as session:
        return render_template(
            "approvals/to_do.html",
            page=reports.to_decide(session, subject(), page_number()),
            page_url=page_url(),
            services=plane.catalogue.known,
        )


@approvals_pages.get("/approvals/done")
def done() -> str:
    """已办, the newest first."""
    allow("approval.view")
    plane = control_plane()
    with plane.db.read() as session:
        return render_template(
            "approvals/done.html",
            page=reports.decided(session, subject(), page_number()),
            page_url=page_url(),
            services=plane.catalogue.known,
        )
