"""`/me`: whom a token stands for."""

from __future__ import annotations

from typing import Any

from controlplane import policy
from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.people import MeSchema
from controlplane.tenancy.service import get_department

routes = Routes("people", "The person behind the token")


@routes.get("/me", action="home.view", answer=MeSchema)
def show_me() -> dict[str, Any]:
    """Who I am and what I may do."""
    subject = current_subject()
    with control_plane().db.read() as session:
        department = get_department(session, subject.department_id)
    return {
        "id": subject.person_id,
        "name": subject.name,
        "department": department,
        "roles": subject.grants,
        "may": [action for action in sorted(policy.TABLE) if policy.is_allowed(subject, action)],
    }
