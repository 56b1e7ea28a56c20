"""Faults of a declared form, and of the fields of a form or an action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from controlplane.declarations import NAMES_SCHEMA, Document, duplicates

#: Words a field may carry beside JSON Schema's own: names for people, and hints for the page.
WIDGETS = (
    "text",
    "textarea",
    "integer",
    "cards",
    "select",
    "segments",
    "switch",
    "rows",
    "ssh_key",
    "upload",
)
SOURCES = (
    "images",
    "my_vms",
    "my_backups",
    "my_instances",
    "my_databases",
    "my_uploads",
    "accounts",
)


def form_problems(document: Document) -> list[str]:
    properties: Mapping[str, Any] = document.data["form"]["properties"]
    problems: list[str] = []
    for name, schema in properties.items():
        at = ["form", "properties", name]
        if isinstance(schema, dict):
            problems += field_problems(document, at, schema)
        else:
            problems.append(document.problem(at, "must be a JSON Schema"))
    return problems + _plan_problems(document) + _placing_problems(document)


def field_problems(document: Document, at: list[str], schema: Mapping[str, Any]) -> list[str]:
    problems = []
    try:
        Draft202012Validator.check_schema(without_names(schema))
    except SchemaError as error:
        problems.append(document.problem([*at, *error.absolute_path], error.message))
    if not Draft202012Validator(NAMES_SCHEMA).is_valid(schema.get("title")):
        problems.append(document.problem(at, "title needs zh and en"))
    hints = schema.get("x-ui", {})
    if not isinstance(hints, dict):
        return [*problems, document.problem([*at, "x-ui"], "must be a mapping")]
    if hints.get("widget", "text") not in WIDGETS:
        problems.append(document.problem([*at, "x-ui"], f"widget is one of {WIDGETS}"))
    if hints.get("source", "images") not in SOURCES:
        problems.append(document.problem([*at, "x-ui"], f"source is one of {SOURCES}"))
    return problems


def _plan_problems(document: Document) -> list[str]:
    """Every plan that the form offers is declared."""
    field = document.data["form"]["properties"].get("plan")
    offered = field.get("enum", []) if isinstance(field, dict) else []
    declared = [plan["code"] for plan in document.data.get("plans", [])]
    at = ["form", "properties", "plan"]
    return [document.problem(at, f"there is no plan {p}") for p in offered if p not in declared]


def _placing_problems(document: Document) -> list[str]:
    """Every field stands in one group, and whatever a group names is a field."""
    form = document.data["form"]
    properties = form["properties"]
    placed = [f for group in form["groups"] for f in group["fields"]]
    problems = [
        document.problem(["form", "groups", i], f"there is no field {f}")
        for i, group in enumerate(form["groups"])
        for f in group["fields"]
        if f not in properties
    ]
    problems += [
        document.problem(["form", "properties", f], "stands in no group")
        for f in properties
        if f not in placed
    ]
    problems += [
        document.problem(["form", "groups"], f"field {f} stands in two places")
        for f in duplicates(placed)
    ]
    problems += [
        document.problem(["form", "required"], f"there is no field {f}")
        for f in form.get("required", ())
        if f not in properties
    ]
    return problems


def without_names(schema: Any) -> Any:
    """A field's schema as plain JSON Schema: our names in two languages and page hints left out."""
    if isinstance(schema, dict):
        return {
            key: {name: without_names(field) for name, field in value.items()}
            if key == "properties" and isinstance(value, dict)
            else without_names(value)
            for key, value in schema.items()
            if key not in ("title", "hint", "x-ui")
        }
    if isinstance(schema, list):
        return [without_names(item) for item in schema]
    return schema
