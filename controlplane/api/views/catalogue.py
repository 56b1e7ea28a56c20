"""`/services`: what can be asked for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from controlplane import policy
from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.catalogue import ServiceDetail, ServiceList
from controlplane.catalogue.services import Action, Service
from controlplane.choices import Choice, live_choices
from controlplane.errors import NotFound
from controlplane.policy import Subject
from controlplane.tenancy.service import get_department

routes = Routes("catalogue", "Services that can be asked for, with their forms")


@routes.get("/services", action="catalogue.view", answer=ServiceList)
def list_services() -> dict[str, Any]:
    """Every declared service."""
    return {"items": list(control_plane().catalogue.values())}


@routes.get("/services/<code>", action="catalogue.view", answer=ServiceDetail)
def show_service(code: str) -> dict[str, Any]:
    """One service with the form of each action and the live choices in each zone."""
    service = control_plane().catalogue.get(code)
    if service is None:
        raise NotFound
    with control_plane().db.read() as session:
        choices = _choices(session, current_subject(), service)
    return {
        **{name: getattr(service, name) for name in _SUMMARY},
        "plans": list(service.plans.values()),
        "groups": list(service.groups),
        "actions": [_action(service, action) for action in service.actions.values()],
        "choices": choices,
    }


_SUMMARY = (
    "code",
    "version",
    "category",
    "engine",
    "engines",
    "offered_engines",
    "name",
    "summary",
    "needs",
    "zones",
    "usually_takes_seconds",
    "lease_default_months",
    "lease_max_months",
)


def _action(service: Service, action: Action) -> dict[str, Any]:
    form = service.form_schema(action)
    if action.kind == "operate":
        form["required"] = [*action.fields, *action.inputs]
    return {**asdict(action), "form": form}


def _choices(
    session: Session, subject: Subject, service: Service
) -> dict[str, dict[str, list[Choice]]]:
    """By zone and field. They name the department's own resources, so only its applicants see
    them."""
    create = service.action_of_kind("create")
    path = subject.department_path
    if create is None or not policy.is_allowed(subject, "request.create", department_path=path):
        return {}
    department = get_department(session, subject.department_id)
    return {
        zone: live_choices(session, service, create, department, zone) for zone in service.zones
    }
