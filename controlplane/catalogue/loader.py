"""Loads every declared service, or names all that is wrong with them, file and line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from controlplane.catalogue.action_problems import action_problems
from controlplane.catalogue.expressions import ExpressionError
from controlplane.catalogue.form_problems import form_problems
from controlplane.catalogue.machines import machine_problems, sample
from controlplane.catalogue.schema import SERVICE
from controlplane.catalogue.services import (
    Action,
    BackupPlan,
    DiskPlan,
    MachinePlan,
    Service,
    Snippet,
)
from controlplane.catalogue.versions import Catalogue, version_key
from controlplane.declarations import Document, check_against, duplicates, read_document
from controlplane.engines import ENGINES
from controlplane.errors import DeclarationInvalid

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
        *form_problems(document),
        *action_problems(document, folder),
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
