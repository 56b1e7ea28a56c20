"""What an upgrade would make of one instance: pure, so that preview and upgrade cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.admission.rules import difference
from controlplane.catalogue.expressions import ExpressionError
from controlplane.catalogue.forms import check_form
from controlplane.catalogue.services import Action, Service
from controlplane.errors import Fault
from controlplane.preparing import shrink_faults
from controlplane.provisioning.rules import ResourceState

#: States that do not last: a campaign waits for their end, and looks again.
SOON = (ResourceState.BUILDING, ResourceState.CHANGING)


@dataclass(frozen=True)
class Standing:
    """An instance as it is."""

    spec: Mapping[str, Any]
    capacity: Mapping[str, int]
    zone: str


@dataclass(frozen=True)
class Upgraded:
    """The instance as the new version has it; `faults` are why it cannot be upgraded."""

    spec: dict[str, Any]
    capacity: dict[str, int]
    asked: dict[str, int]
    restarts: bool
    playbook: str
    faults: tuple[Fault, ...]


def upgrade_action(service: Service) -> Action | None:
    """How an instance of an older version is brought to this one; None where it is not declared."""
    return service.action_of_kind("upgrade")


def upgraded(
    old: Service, new: Service, action: Action, standing: Standing, state: str
) -> Upgraded:
    """The form that the instance was last given, filled into the new version: what that no longer
    asks for is left out, what it newly asks for takes its default, a plan becomes the plan of the
    same code."""
    form = {k: v for k, v in old.form_of(standing.spec).items() if k in new.properties}
    faults = check_form(new.form_schema(new.actions["provision"]), form)
    if state not in (*action.states, *SOON):
        faults.append(Fault("state_conflict", "", {"state": state}))
    spec = new.spec_of(form)
    if standing.zone not in new.zones:
        faults.append(Fault("zone_not_offered", "zone"))
    if not faults and new.engine_of(spec) != old.engine_of(standing.spec):
        faults.append(Fault("engine_differs", "plan"))
    if not faults:
        faults += shrink_faults(new, standing.spec, spec)
    capacity: dict[str, int] = {}
    if not faults:
        try:
            capacity = new.capacity_of(spec)
        except ExpressionError:
            faults.append(Fault("field_type"))
    return Upgraded(
        spec=spec,
        capacity=capacity if not faults else dict(standing.capacity),
        asked=difference(standing.capacity, capacity) if not faults else {},
        restarts=old.engine_of(standing.spec) in action.restarts,
        playbook=f"services/{new.path}/{action.playbook}",
        faults=tuple(faults),
    )
