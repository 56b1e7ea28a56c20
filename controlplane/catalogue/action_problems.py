"""Faults of declared actions: what they name must be there, and what a service needs among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controlplane.catalogue.certifying import certifying_problems
from controlplane.catalogue.form_problems import field_problems
from controlplane.declarations import Document

#: What a service with `backups` must be able to do; an action of each kind.
BACKUP_KINDS = ("backup", "restore", "drill")


def action_problems(document: Document, folder: Path) -> list[str]:
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
            problems += field_problems(document, where, schema)
        else:
            problems.append(document.problem(where, "must be a JSON Schema"))
    problems += [
        document.problem([*at, key], f"there is no input {action[key]}")
        for key in ("draws_for", "drops_for")
        if action.get(key) is not None and action[key] not in inputs
    ]
    return problems
