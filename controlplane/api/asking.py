"""From a request's body to the pipeline's `Ask`, and from its faults back to the body's fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controlplane.api.bearer import control_plane
from controlplane.api.problems import in_body
from controlplane.catalogue.services import Service
from controlplane.errors import Fault, InvalidInput
from controlplane.pipeline import Ask
from controlplane.service_requests.models import ServiceRequest

#: Kinds of action that are asked for; the others are done with a resource.
ASKED = ("create", "change")


def checked_ask(body: Mapping[str, Any], submission_key: str | None = None) -> Ask:
    """The `Ask` of a loaded `AskBody`. Errors: InvalidInput (no such service or action, a create
    without zone, a change without resource or the other way round)."""
    service = _service_for(body)
    action = service.action(body["action"]) if service else None
    faults = []
    if service is None:
        faults.append(Fault("field_choice", "service"))
    elif action is None or action.kind not in ASKED:
        faults.append(Fault("field_choice", "action"))
    elif action.kind == "change" and body["resource_id"] is None:
        faults.append(Fault("field_required", "resource_id"))
    elif action.kind == "create":
        if not body["zone"]:
            faults.append(Fault("field_required", "zone"))
        if body["resource_id"] is not None:
            faults.append(Fault("field_unknown", "resource_id", {"name": "resource_id"}))
    if faults:
        raise InvalidInput(faults)
    resource_id = body["resource_id"]
    return Ask(
        service=body["service"],
        action=body["action"],
        zone=body["zone"],
        form=body["form"],
        resource_id=str(resource_id) if resource_id else None,
        submission_key=submission_key,
        department_id=body["department_id"],
    )


def _service_for(body: Mapping[str, Any]) -> Service | None:
    """What is offered now; of a change any version, for its resource says which."""
    catalogue = control_plane().catalogue
    newest = catalogue.get(body["service"])
    if body["resource_id"] is None:
        return newest
    versions = catalogue.versions(body["service"])
    return next((s for s in versions if s.action(body["action"])), newest)


def ask_from(made: ServiceRequest, form: Mapping[str, Any], zone: str) -> Ask:
    """The `Ask` that puts a new form into a request already made."""
    service = control_plane().catalogue.find(made)
    action = service.action(made.action) if service else None
    changes = action is not None and action.kind == "change"
    return Ask(
        service=made.service,
        action=made.action,
        zone=zone or made.zone,
        form=form,
        resource_id=made.resource_id if changes else None,
        request_id=made.id,
        department_id=made.department_id,
    )


def as_sent(error: InvalidInput) -> InvalidInput:
    """The pipeline names fields of the form; the body holds the form under `form`."""
    return in_body(error, {"zone": "zone"}, "form.")


def faults_as_sent(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    return as_sent(InvalidInput(faults)).faults
