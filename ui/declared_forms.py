"""A service's declaration as form fields, filled with what was typed and marked with its faults.

Hints a declaration may give under `x-ui`: `widget` (text, textarea, integer, cards, select,
segments, switch, rows, ssh_key, upload), `source` (choices from the present state), `unit`,
`placeholder`, `width` (full, half, third, quarter), `labels` (words {zh, en} for the values of an
enum) and `add_label` (the button that adds a row). `title` and `hint` are {zh, en}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext

from controlplane import messages
from controlplane.catalogue.schema import DIMENSION_PATTERN
from controlplane.catalogue.services import Action, Service
from controlplane.errors import Fault
from ui import filters
from ui.forms import Choice, FormField
from ui.preferences import current_language
from ui.presentation import by_dimension, words

INDEX = "__index__"
WIDTHS = {"full": "full", "half": "", "third": "third", "quarter": "quarter"}


@dataclass(frozen=True)
class FormContext:
    """What a form is drawn from: the values typed, faults, live choices and prices of plans."""

    form: Mapping[str, Any]
    faults: Sequence[Fault] = ()
    choices: Mapping[str, Sequence[Any]] | None = None
    plan_prices: Mapping[str, int] | None = None
    #: Fields of which only an earlier value may be taken.
    chooses: Sequence[str] = ()
    upload_max_mib: int = 0


@dataclass(frozen=True)
class FieldGroup:
    """A card of the form."""

    title: str
    fields: list[FormField]


def field_groups(service: Service, action: Action, context: FormContext) -> list[FieldGroup]:
    """The form's cards in declared order."""
    schema = service.form_schema(action)
    required = set(schema["required"])
    return [
        FieldGroup(
            words(group["title"]),
            [
                field
                for name in group["fields"]
                if not is_pointless(
                    field := field_of(
                        name, schema["properties"][name], name in required, context, service
                    ),
                    schema["properties"][name],
                )
            ],
        )
        for group in service.form_groups(action)
    ]


def is_pointless(field: FormField, schema: Mapping[str, Any]) -> bool:
    """Nobody is asked for a backup to restore, an instance to clone, a database to use where there
    is none."""
    source = schema.get("x-ui", {}).get("source")
    optional = ("my_backups", "my_instances", "my_databases")
    return source in optional and not field.choices and not field.errors


def field_of(
    name: str, schema: Mapping[str, Any], required: bool, context: FormContext, service: Service
) -> FormField:
    """One declared field; a list becomes rows."""
    hints = schema.get("x-ui", {})
    kind = kind_of(name, schema)
    value = context.form.get(name, schema.get("default"))
    kind = "select" if name in context.chooses else kind
    field = _plain_field(name, schema, required, value, kind)
    field.errors = errors_at(context.faults, name)
    if name in context.chooses:
        field.hint = gettext("此前部署过的版本，新的在前")
    elif kind == "upload":
        field.max_mib = context.upload_max_mib
    if kind == "rows":
        rows = value if isinstance(value, list) else []
        field.rows = [_row(name, i, schema, row, context) for i, row in enumerate(rows)]
        field.blank_row = _row(name, INDEX, schema, {}, context)
        field.max_rows = schema.get("maxItems")
        field.add_label = words(hints.get("add_label"))
        field.width = "full"
    elif name == "plan" and service.plans:
        field.choices = tuple(_offered_plans(service, context))
    elif "source" in hints:
        live = (context.choices or {}).get(name, ())
        field.choices = tuple(Choice(choice.value, choice.label) for choice in live)
        if field.value is None and required and (len(live) == 1 or hints["source"] == "images"):
            field.value = next((choice.value for choice in live), None)
        if not field.choices and kind != "upload":
            field.hint = " ".join(part for part in (field.hint, gettext("目前没有可选项")) if part)
    return field


def _plain_field(
    name: str, schema: Mapping[str, Any], required: bool, value: Any, kind: str
) -> FormField:
    hints = schema.get("x-ui", {})
    default_width = "full" if kind in ("cards", "textarea", "ssh_key", "rows", "upload") else "half"
    return FormField(
        name=name,
        kind=kind,
        label=words(schema.get("title")) or name,
        value=value,
        hint=words(schema.get("hint")) or range_hint(schema, words(hints.get("unit"))),
        unit=words(hints.get("unit")),
        # A field with a default is never left open, so it is not marked as optional; one whose
        # default is nothing is.
        required=required or schema.get("default", "") != "",
        width=WIDTHS.get(hints.get("width", default_width), ""),
        placeholder=words(hints.get("placeholder")),
        max_length=schema.get("maxLength"),
        choices=tuple(enum_choices(schema)),
    )


def kind_of(name: str, schema: Mapping[str, Any]) -> str:
    """The declared widget, or the one that suits the type."""
    widget = schema.get("x-ui", {}).get("widget")
    if widget is not None:
        return "checkbox" if widget == "switch" else str(widget)
    if name == "plan":
        return "cards"
    if "enum" in schema:
        return "segments" if len(schema["enum"]) <= 3 else "select"
    if "source" in schema.get("x-ui", {}):
        return "select"
    by_type = {"integer": "integer", "array": "rows", "boolean": "checkbox"}
    return by_type.get(str(schema.get("type")), "text")


def _row(
    name: str, index: int | str, schema: Mapping[str, Any], row: Any, context: FormContext
) -> list[FormField]:
    items = schema.get("items", {})
    required = set(items.get("required", ()))
    values = row if isinstance(row, Mapping) else {}
    fields = []
    for column, column_schema in items.get("properties", {}).items():
        at = f"{name}.{index}.{column}"
        value = values.get(column, column_schema.get("default"))
        kind = kind_of(column, column_schema)
        kind = "select" if kind == "segments" else kind
        field = _plain_field(at, column_schema, column in required, value, kind)
        field.errors = errors_at(context.faults, at)
        fields.append(field)
    return fields


def enum_choices(schema: Mapping[str, Any]) -> Iterable[Choice]:
    """The values of an enum with their declared words."""
    labels = schema.get("x-ui", {}).get("labels", {})
    return (Choice(str(v), words(labels.get(str(v), v))) for v in schema.get("enum", ()))


def _offered_plans(service: Service, context: FormContext) -> Iterable[Choice]:
    """The plans among the choices, or all of them where choices were not looked for."""
    choices = plan_choices(service, context.plan_prices or {})
    if context.choices is None or "plan" not in context.choices:
        return choices
    offered = {choice.value for choice in context.choices["plan"]}
    return (choice for choice in choices if choice.value in offered)


def plan_choices(service: Service, prices: Mapping[str, int]) -> Iterable[Choice]:
    """Plans as cards: what one is, and what it costs a month."""
    for code, plan in service.plans.items():
        parts = [
            filters.amount(amount, dimension, current_language())
            for dimension, amount in by_dimension(plan)
            if re.fullmatch(DIMENSION_PATTERN, dimension)
        ]
        price = gettext("%(money)s / 月", money=filters.money(prices[code])) if prices else ""
        yield Choice(code, words(plan["name"]), " · ".join(parts), price)


def range_hint(schema: Mapping[str, Any], unit: str) -> str:
    """The limits of a number, where the declaration says nothing else."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None or high is None or schema.get("type") != "integer":
        return ""
    return f"{filters.count(low)}–{filters.count(high)} {unit}".strip()


def errors_at(faults: Iterable[Fault], path: str) -> list[str]:
    """The words of the faults at one field."""
    language = current_language()
    return [messages.text_of_fault(fault, language) for fault in faults if fault.field == path]


def fault_links(
    faults: Iterable[Fault], groups: Iterable[FieldGroup], fixed: Mapping[str, str]
) -> list[tuple[str, str]]:
    """For the summary on top: (element id or "", "label: fault"). `fixed` are labels of fields
    that belong to no declaration, such as the zone."""
    known = {f.name: f for group in groups for f in group.fields}
    links = []
    for fault in faults:
        text = messages.text_of_fault(fault, current_language())
        head, _, rest = fault.field.partition(".")
        if fault.field in fixed:
            links.append((FormField(fault.field, "", "").id, f"{fixed[fault.field]}：{text}"))
        elif head in known:
            label, at = _row_label(known[head], fault.field, rest)
            links.append((at, f"{label}：{text}"))
        else:
            links.append(("", text))
    return links


def _row_label(field: FormField, path: str, rest: str) -> tuple[str, str]:
    """(label, element id) of a fault in `field` or in one of its rows."""
    index, _, column = rest.partition(".")
    if not index.isdecimal() or int(index) >= len(field.rows):
        return field.label, field.id
    row = field.rows[int(index)]
    inner = next((f for f in row if f.name == path), None)
    number = gettext("第 %(number)s 项", number=int(index) + 1)
    label = " ".join(part for part in (field.label, number, inner.label if inner else "") if part)
    return label, inner.id if inner and column else field.id
