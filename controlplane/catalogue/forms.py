"""Checking a filled form against its declaration: every fault at once, in our own codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from controlplane.errors import Fault
from controlplane.text import holds_control_characters

Choices = Mapping[str, Iterable[str]]

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def check_form(schema: Mapping[str, Any], form: Any, choices: Choices | None = None) -> list[Fault]:
    """Faults of `form` against a form schema; `choices` are the live values a field may take."""
    if not isinstance(form, dict):
        return [Fault("field_type")]
    faults = [
        fault
        for error in Draft202012Validator(schema).iter_errors(form)
        for fault in _faults(error)
    ]
    faults += _text_faults(schema, form, "")
    at_fault = {f.field for f in faults}
    for name, allowed in (choices or {}).items():
        value = form.get(name)
        if value not in (None, "") and name not in at_fault and value not in set(allowed):
            faults.append(Fault("field_choice", name))
    order = list(schema["properties"])
    faults.sort(key=lambda f: _position(order, f.field))
    return faults


def _position(order: list[str], field: str) -> tuple[int, str]:
    head = field.split(".")[0]
    return (order.index(head) if head in order else len(order), field)


def _faults(error: ValidationError) -> list[Fault]:
    at = ".".join(str(part) for part in error.absolute_path)
    limit: Any = error.validator_value
    instance: Any = error.instance
    schema: Any = error.schema
    match error.validator:
        case "required":
            missing = [n for n in limit if n not in instance]
            named = error.message.split("'")[1] if "'" in error.message else ""
            return [Fault("field_required", _join(at, n)) for n in missing if n == named]
        case "additionalProperties":
            known = set(schema.get("properties", {}))
            extra = [n for n in instance if n not in known]
            return [Fault("field_unknown", _join(at, n[:60]), {"name": n[:60]}) for n in extra]
        case "type":
            codes = {"integer": "field_not_integer", "string": "field_not_text"}
            return [Fault(codes.get(str(limit), "field_type"), at)]
        case "minimum":
            return [Fault("field_too_small", at, {"limit": limit})]
        case "maximum":
            return [Fault("field_too_large", at, {"limit": limit})]
        case "multipleOf":
            return [Fault("field_not_multiple", at, {"step": limit})]
        case "minLength":
            empty = not instance
            return [Fault("field_required" if empty else "field_too_short", at, {"limit": limit})]
        case "maxLength":
            return [Fault("field_too_long", at, {"limit": limit, "length": len(instance)})]
        case "maxItems":
            return [Fault("field_too_many", at, {"limit": limit})]
        case "enum" | "const":
            return [Fault("field_choice", at)]
        case "pattern":
            return [Fault("field_pattern", at)]
        case _:
            return [Fault("field_type", at)]


def _text_faults(schema: Mapping[str, Any], value: Any, at: str) -> list[Fault]:
    """Control characters have no place in a name that goes to a cloud, a bill and a log."""
    if isinstance(value, str):
        many_lines = schema.get("x-ui", {}).get("widget") == "textarea"
        at_fault = holds_control_characters(value, lines=many_lines)
        return [Fault("field_control_characters", at)] if at_fault else []
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return [
            fault
            for name, item in value.items()
            for fault in _text_faults(properties.get(name, {}), item, _join(at, str(name)[:60]))
        ]
    if isinstance(value, list):
        items = schema.get("items", {})
        return [f for i, v in enumerate(value) for f in _text_faults(items, v, _join(at, str(i)))]
    return []


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def from_html(schema: Mapping[str, Any], fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The form that an HTML form post carries.

    Names are paths ("data_volumes.0.size_gib"). Text is trimmed; an empty field counts as left out;
    what should be a whole number but is not stays text, so that `check_form` names the fault. Rows
    whose every field is empty are dropped, the others close up.
    """
    form: dict[str, Any] = {}
    rows: dict[str, dict[int, dict[str, Any]]] = {}
    properties = schema["properties"]
    for name, raw in fields:
        value = raw.strip().replace("\r\n", "\n")
        head, _, rest = name.partition(".")
        field = properties.get(head)
        if field is not None and field.get("type") == "array" and rest:
            index, _, column = rest.partition(".")
            if index.isdecimal() and len(index) < 5 and value:
                item = field.get("items", {}).get("properties", {}).get(column, {})
                rows.setdefault(head, {}).setdefault(int(index), {})[column] = _typed(item, value)
        elif value:
            form[name] = _typed(field or {}, value)
    for name, by_index in rows.items():
        form[name] = _filled_rows(properties[name], by_index)
    for name, field in properties.items():
        if field.get("type") == "boolean":
            form.setdefault(name, False)
    return form


def _filled_rows(field: Mapping[str, Any], rows: Mapping[int, dict[str, Any]]) -> list[Any]:
    """Rows in order; one in which only preselected choices are set counts as not filled."""
    columns = field.get("items", {}).get("properties", {})
    typed_in = [c for c, s in columns.items() if "enum" not in s] or list(columns)
    return [row for _, row in sorted(rows.items()) if any(c in row for c in typed_in)]


def _typed(field: Mapping[str, Any], value: str) -> Any:
    match field.get("type"):
        case "integer" if _INTEGER.fullmatch(value):
            return int(value)
        case "boolean":
            return value.lower() in ("1", "true", "on", "yes")
        case _:
            return value
