"""管理: departments, people with their roles, the audit trail; read only."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from controlplane.reports import people as reports
from controlplane.reports.directory import count_people_by_department
from ui.frame import ROLE_NAMES
from ui.lists import page_number, page_url
from ui.session import allow, control_plane

admin_pages = Blueprint("admin", __name__)


@admin_pages.get("/departments")
def departments() -> str:
    """The tree of departments."""
    allow("tenancy.view")
    with control_plane().db.read() as session:
        return render_template(
            "admin/departments.html",
            departments=reports.list_departments(session),
            people=count_people_by_department(session),
        )


@admin_pages.get("/people")
def people() -> str:
    """People and what they may do."""
    allow("tenancy.view")
    with control_plane().db.read() as session:
        return render_template(
            "admin/people.html",
            page=reports.list_people(session, page_number()),
            page_url=page_url(),
            role_names=ROLE_NAMES,
        )


@admin_pages.get("/audit")
def audit() -> str:
    """The audit trail, newest first."""
    allow("audit.view")
    event = request.args.get("event", "").strip()
    object_id = request.args.get("object", "").strip()
    with control_plane().db.read() as session:
        return render_template(
            "admin/audit.html",
            page=reports.list_events(session, event=event, object_id=object_id, page=page_number()),
            event=event,
            object_id=object_id,
            page_url=page_url(),
        )
