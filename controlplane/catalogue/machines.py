"""Machines that a service's plans bring with them: whether what is declared would be delivered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.catalogue.expressions import ExpressionError
from controlplane.catalogue.forms import check_form
from controlplane.catalogue.services import Service
from controlplane.engines import MACHINE

#: In the place of the key that each machine gets, its own.
KEY = "ssh-ed25519 " + "A" * 68


def machine_problems(service: Service, offered: Mapping[str, Service]) -> list[str]:
    """A machine that a plan brings with it is one that its service would deliver, and what is held
    for the plan is what the machine takes."""
    where = f"{service.path}/service.yml"
    plans = service.plans_on([MACHINE])
    if not plans:
        return []
    below = offered.get(service.machine.service) if service.machine else None
    if below is None:
        return [f"{where}: plans on `machine` need a `machine` of a service that is there"]
    problems = []
    for code in plans:
        spec = service.spec_of(
            {name: sample(schema) for name, schema in service.properties.items()} | {"plan": code}
        )
        try:
            form = {**(service.machine_form_of(spec) or {}), **dict.fromkeys(below.key_fields, KEY)}
            faults = check_form(below.form_schema(below.actions["provision"]), form, {})
            problems += [f"{where}: plan {code}, machine.{f.field}: {f.code}" for f in faults]
            if not faults and below.capacity_of(below.spec_of(form)) != service.capacity_of(spec):
                problems.append(f"{where}: plan {code} does not hold what its machine takes")
        except ExpressionError as error:
            problems.append(f"{where}: plan {code}, machine: {error}")
    return problems


def sample(schema: Mapping[str, Any]) -> Any:
    """A value that fits a field's schema well enough to try an expression on."""
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    samples: dict[str, Any] = {
        "integer": schema.get("minimum", 1),
        "boolean": False,
        "array": [],
        "object": {},
    }
    return samples.get(str(schema.get("type")), "x")
