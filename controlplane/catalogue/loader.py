"""Loads every declared service, or names all that is wrong with them, file and line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from controlplane.catalogue.certifying import certifying_problems
from controlplane.catalogue.machines import machine_problems, sample
from controlplane.catalogue.schema import SERVICE
from controlplane.catalogue.services import (
    Action,
    BackupPlan,
    DiskPlan,
    ExpressionError,
    MachinePlan,
    Service,
    Snippet,
)
from controlplane.catalogue.versions import Catalogue, version_key
from controlplane.declarations import (
    NAMES_SCHEMA,
    Document,
    check_against,
    duplicates,
    read_document,
)
from controlplane.engines import ENGINES
from controlplane.errors import DeclarationInvalid

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
#: What a service with `backups` must be able to do; an action of each kind.
BACKUP_KINDS = ("backup", "restore", "drill")


#: The folder, beside a service's `service.yml`, of the versions that are kept for instances.
OLDER = "versions"

#: Where a service does not say: how long a lease that is over is tolerated, and how long a resource
#: then stays suspended before it is retired.
LEASE_GRACE_DAYS = 7
LEASE_SUSPENDED_DAYS = 23


def load_catalogue(services_dir: Path, absent_engines: Iterable[str] = ()) -> Catalogue:
    """Every service in every kept version; what stands on one of `absent_engines` is known and not
    offered.

    Errors: DeclarationInvalid with every problem of every folder.
    """
    if not services_dir.is_dir():
        raise DeclarationInvalid([f"{services_dir.name}: the folder is missing"])
    absent = frozenset(absent_engines)
    offered: dict[str, Service] = {}
    older: list[Service] = []
    problems: list[str] = []
    for folder in sorted(p for p in services_dir.iterdir() if p.is_dir()):
        service, found = _load_newest(folder, services_dir, offered)
        problems += found
        if service is not None:
            offered[service.code] = dataclasses.replace(service, absent_engines=absent)
        versions, found = _load_older(folder, services_dir, service)
        problems += found
        older += [dataclasses.replace(each, absent_engines=absent) for each in versions]
    for service in (*offered.values(), *older):
        problems += machine_problems(service, offered)
    if problems:
        raise DeclarationInvalid(problems)
    return Catalogue(offered.values(), older)


def _load_newest(
    folder: Path, root: Path, others: Iterable[str]
) -> tuple[Service | None, list[str]]:
    """What a folder offers, or its problems; nothing where only older versions are kept in it: the
    service is offered no more. `others` are the codes that are taken."""
    if not (folder / "service.yml").exists() and (folder / OLDER).is_dir():
        return None, []

    def twice(document: Document) -> list[str]:
        code = document.data["service"]
        return [document.problem(["service"], f"{code} is declared twice")] * (code in others)

    return _load_service(folder, root, twice)


def _load_older(
    folder: Path, root: Path, newest: Service | None
) -> tuple[list[Service], list[str]]:
    """Versions that instances still stay on, each in `versions/<version>/`."""
    if not (folder / OLDER).is_dir():
        return [], []
    services, problems = [], []
    for kept in sorted(p for p in (folder / OLDER).iterdir() if p.is_dir()):
        service, found = _load_service(kept, root, partial(_place_problems, kept.name, newest))
        problems += found
        services += [service] if service else []
    return services, problems


def _place_problems(folder_name: str, newest: Service | None, document: Document) -> list[str]:
    """An older version says that it is what its folder says, and is older than what is offered."""
    code, version = document.data["service"], document.data["version"]
    problems = []
    if version != folder_name:
        problems.append(document.problem(["version"], f"the folder says {folder_name}"))
    if newest is not None and code != newest.code:
        problems.append(document.problem(["service"], f"must be {newest.code}"))
    if newest is not None and version_key(version) >= version_key(newest.version):
        text = f"is not older than {newest.version}, which is offered"
        problems.append(document.problem(["version"], text))
    return problems


def _load_service(
    folder: Path, root: Path, problems_of_place: Callable[[Document], list[str]]
) -> tuple[Service | None, list[str]]:
    """One version's service, or its problems."""
    document, problems = read_document(folder / "service.yml", root)
    if document is None:
        return None, problems
    problems = check_against(document, SERVICE)
    if problems:
        return None, problems
    problems = [
        *problems_of_place(document),
        *_service_problems(document),
        *_form_problems(document),
        *_action_problems(document, folder),
    ]
    if problems:
        return None, problems
    service = _build(document.data, folder, folder.relative_to(root).as_posix())
    problems = _expression_problems(document, service)
    return (None, problems) if problems else (service, [])


def _build(data: Mapping[str, Any], folder: Path, path: str) -> Service:
    return Service(
        code=data["service"],
        version=data["version"],
        category=data["category"],
        engine=data["engine"],
        icon=data.get("icon", "box"),
        name=data["name"],
        summary=data["summary"],
        needs=data.get("needs"),
        usually_takes_seconds=data.get("usually_takes_seconds", 60),
        zones=tuple(data["zones"]),
        lease_default_months=data["lease"]["default_months"],
        lease_max_months=data["lease"]["max_months"],
        lease_grace_days=data["lease"].get("grace_days", LEASE_GRACE_DAYS),
        lease_suspended_days=data["lease"].get("suspended_days", LEASE_SUSPENDED_DAYS),
        plans={plan["code"]: plan for plan in data.get("plans", [])},
        groups=tuple(data["form"]["groups"]),
        properties=data["form"]["properties"],
        required=tuple(data["form"].get("required", ())),
        capacity_expressions=data["capacity"],
        base_need_expressions=data.get("base_needs", {}),
        resource_name_expression=data["resource_name"],
        actions={code: _action(code, a, data) for code, a in data["actions"].items()},
        secrets=tuple(data.get("secrets", ())),
        issued_secrets=tuple(data.get("issued_secrets", ())),
        connection=tuple(
            Snippet(s["id"], s["title"], s["template"]) for s in data.get("connection", ())
        ),
        backups=_backup_plan(data),
        maintenance=data.get("maintenance", ""),
        has_logs=data.get("logs", False),
        disk=_disk_plan(data),
        machine=_machine_plan(data),
        folder=folder,
        path=path,
    )


def _backup_plan(data: Mapping[str, Any]) -> BackupPlan | None:
    declared = data.get("backups")
    if declared is None:
        return None
    engines = tuple(declared.get("engines", ENGINES))
    return BackupPlan(
        declared["daily_at"],
        declared["keep_days"],
        declared["last_keep_days"],
        engines,
        tuple(declared.get("moments", ())),
    )


def _machine_plan(data: Mapping[str, Any]) -> MachinePlan | None:
    declared = data.get("machine")
    return MachinePlan(declared["service"], declared["form"]) if declared else None


def _disk_plan(data: Mapping[str, Any]) -> DiskPlan | None:
    declared = data.get("disk")
    return DiskPlan(**{**declared, "engines": tuple(declared["engines"])}) if declared else None


def _action(code: str, data: Mapping[str, Any], service: Mapping[str, Any]) -> Action:
    asks_by_default = data["kind"] in ("create", "change")
    chain = data.get("approval_chain", service["approval_chain"] if asks_by_default else "none")
    return Action(
        code=code,
        playbook=data["playbook"],
        name=data["name"],
        kind=data["kind"],
        approval_chain=None if chain == "none" else chain,
        effect=data.get("effect"),
        fields=tuple(data.get("fields", ())),
        clears=tuple(data.get("clears", ())),
        states=tuple(data.get("states", ("active", "stopped"))),
        to_state=data.get("to_state"),
        grace_days=data.get("grace_days", 0),
        stop_with=data.get("stop_with"),
        start_with=data.get("start_with"),
        is_internal=data.get("internal", False),
        rotates=tuple(data.get("rotates", ())),
        grace_hours=data.get("grace_hours", 24),
        followed_by=data.get("followed_by"),
        inputs=data.get("inputs", {}),
        prefilled_from=data.get("prefilled_from"),
        draws_for=data.get("draws_for"),
        drops_for=data.get("drops_for"),
        engines=tuple(data.get("engines", ())),
        restarts=_restarts(data.get("restarts", False)),
        chooses=tuple(data.get("chooses", ())),
        follows_rotation=data.get("follows_rotation", False),
        certifies=data.get("certifies"),
        needs_output=data.get("needs_output"),
        lacks_output=data.get("lacks_output"),
    )


def _restarts(declared: bool | list[str]) -> tuple[str, ...]:
    """`true` stands for every engine."""
    if isinstance(declared, bool):
        return ENGINES if declared else ()
    return tuple(declared)


def _service_problems(document: Document) -> list[str]:
    data = document.data
    problems = []
    if data["lease"]["default_months"] > data["lease"]["max_months"]:
        problems.append(document.problem(["lease"], "default_months lies beyond max_months"))
    problems += [
        document.problem(["issued_secrets"], f"there is no secret {name}")
        for name in data.get("issued_secrets", ())
        if name not in data.get("secrets", ())
    ]
    problems += [
        document.problem(["plans"], f"{plan} is declared twice")
        for plan in duplicates(plan["code"] for plan in data.get("plans", []))
    ]
    return problems


def _form_problems(document: Document) -> list[str]:
    properties: Mapping[str, Any] = document.data["form"]["properties"]
    problems: list[str] = []
    for name, schema in properties.items():
        at = ["form", "properties", name]
        if isinstance(schema, dict):
            problems += _field_problems(document, at, schema)
        else:
            problems.append(document.problem(at, "must be a JSON Schema"))
    return problems + _plan_problems(document) + _placing_problems(document)


def _field_problems(document: Document, at: list[str], schema: Mapping[str, Any]) -> list[str]:
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


def _action_problems(document: Document, folder: Path) -> list[str]:
    problems: list[str] = []
    actions: Mapping[str, Any] = document.data["actions"]
    for code, action in actions.items():
        at = ["actions", code]
        if not (folder / action["playbook"]).is_file():
            problems.append(document.problem([*at, "playbook"], f"{action['playbook']} is missing"))
        problems += [
            document.problem([*at, "fields"], f"there is no field {f}")
            for f in (
                *action.get("fields", ()),
                *action.get("clears", ()),
                *action.get("chooses", ()),
            )
            if f not in document.data["form"]["properties"]
        ]
        problems += _input_problems(document, at, action)
        problems += [
            document.problem([*at, other], f"there is no action {action[other]}")
            for other in ("stop_with", "start_with", "followed_by")
            if action.get(other) is not None and action[other] not in actions
        ]
        problems += [
            document.problem([*at, "rotates"], f"there is no secret {name}")
            for name in action.get("rotates", ())
            if name not in document.data.get("secrets", ())
        ]
    held_with = document.data.get("disk", {}).get("held_with")
    if held_with is not None and not actions.get(held_with, {}).get("internal"):
        problems.append(document.problem(["disk", "held_with"], "must be an internal action"))
    kinds = [action["kind"] for action in actions.values()]
    if kinds.count("upgrade") > 1:
        problems.append(document.problem(["actions"], "more than one action of kind upgrade"))
    if "backups" in document.data:
        problems += [
            document.problem(["backups"], f"there is no action of kind {kind}")
            for kind in BACKUP_KINDS
            if kind not in kinds
        ]
    elif set(kinds) & set(BACKUP_KINDS):
        problems.append(document.problem(["actions"], "actions of backups without `backups`"))
    problems += certifying_problems(document)
    for code, kind in (("provision", "create"), ("retire", "retire")):
        if actions[code]["kind"] != kind:
            problems.append(document.problem(["actions", code, "kind"], f"must be {kind}"))
    return problems


def _input_problems(document: Document, at: list[str], action: Mapping[str, Any]) -> list[str]:
    """An action's own fields: declared as those of the form, and none of the same name."""
    problems: list[str] = []
    inputs = action.get("inputs", {})
    if inputs and action["kind"] != "operate":
        problems.append(document.problem([*at, "inputs"], "only an operation has inputs"))
    for name, schema in inputs.items():
        where = [*at, "inputs", name]
        if name in document.data["form"]["properties"]:
            problems.append(document.problem(where, "is a field of the form"))
        if isinstance(schema, dict):
            problems += _field_problems(document, where, schema)
        else:
            problems.append(document.problem(where, "must be a JSON Schema"))
    problems += [
        document.problem([*at, key], f"there is no input {action[key]}")
        for key in ("draws_for", "drops_for")
        if action.get(key) is not None and action[key] not in inputs
    ]
    return problems


def _expression_problems(document: Document, service: Service) -> list[str]:
    """Tries every expression on every plan with the form's defaults and smallest values."""
    problems: dict[str, None] = {}
    for plan in service.plans or {"": {}}:
        form = {name: sample(schema) for name, schema in service.properties.items()}
        if "plan" in service.properties:
            form["plan"] = plan
        spec = service.spec_of(form)
        for dimension, expression in service.capacity_expressions.items():
            alone = dataclasses.replace(service, capacity_expressions={dimension: expression})
            try:
                alone.capacity_of(spec)
            except ExpressionError as error:
                problems[document.problem(["capacity", dimension], str(error))] = None
        try:
            service.base_needs_of(spec)
        except ExpressionError as error:
            problems[document.problem(["base_needs"], str(error))] = None
        try:
            service.resource_name_of(spec)
        except ExpressionError as error:
            problems[document.problem(["resource_name"], str(error))] = None
    return list(problems)


def needed_chains(services: Iterable[Service]) -> set[str]:
    """Codes of the approval chains that some service's action names."""
    return {a.approval_chain for s in services for a in s.actions.values() if a.approval_chain}
