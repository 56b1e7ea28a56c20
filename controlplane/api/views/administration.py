"""`/departments`, `/people`, `/audit-events`: for administrators and supervisors."""

from __future__ import annotations

from typing import Any

from controlplane.api.paging import PageQuery, page_answer
from controlplane.api.routes import Routes, control_plane
from controlplane.api.schemas.administration import (
    AuditPage,
    AuditQuery,
    DepartmentList,
    PersonPage,
)
from controlplane.reports import people as reports

routes = Routes("administration", "Departments, people and the audit trail")


@routes.get("/departments", action="tenancy.view", answer=DepartmentList)
def list_departments() -> dict[str, Any]:
    """The tree, each parent above its children."""
    with control_plane().db.read() as session:
        return {"items": reports.list_departments(session)}


@routes.get("/people", action="tenancy.view", answer=PersonPage, query=PageQuery)
def list_people(query: dict[str, Any]) -> Any:
    """Everybody, by department."""
    with control_plane().db.read() as session:
        return page_answer(reports.list_people(session, query["page"]))


@routes.get("/audit-events", action="audit.view", answer=AuditPage, query=AuditQuery)
def list_audit_events(query: dict[str, Any]) -> Any:
    """The audit trail, the newest first."""
    with control_plane().db.read() as session:
        return page_answer(reports.list_events(session, **query))
