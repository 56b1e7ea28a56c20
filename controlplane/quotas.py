"""`quotas/*.yml` read and checked: departments, offices, pools, quotas, prices, approval chains.

Every problem of every file is named with file and line; only a set without a problem is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from controlplane.catalogue.schema import CODE, DIMENSION_PATTERN, ZONES
from controlplane.clock import LOCAL_ZONE
from controlplane.declarations import (
    NAMES_SCHEMA,
    Document,
    check_against,
    read_document,
)
from controlplane.engines import ENGINES
from controlplane.errors import DeclarationInvalid

LEVELS = ("city", "bureau", "district", "street", "community")
MAX_AMOUNT = 2**53
DOMAIN_PATTERN = "^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z][a-z0-9-]*[a-z0-9]$"

_CAPACITY = {
    "type": "object",
    "propertyNames": {"pattern": DIMENSION_PATTERN},
    "additionalProperties": {"type": "integer", "minimum": 0, "maximum": MAX_AMOUNT},
    "minProperties": 1,
}


def _list_of(properties: Mapping[str, Any], optional: Iterable[str] = ()) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {
            "type": "object",
            "properties": dict(properties),
            "required": [p for p in properties if p not in set(optional)],
            "additionalProperties": False,
        },
    }


def _file(key: str, items: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {key: items},
        "required": [key],
        "additionalProperties": False,
    }


_DEPARTMENT = {
    "code": CODE,
    "name": NAMES_SCHEMA,
    "level": {"enum": list(LEVELS)},
    "parent": CODE,
    # Names below it, and it itself, are the department's to have certificates for.
    "domain": {"type": "string", "maxLength": 200, "pattern": DOMAIN_PATTERN},
}
_OFFICE = {"code": CODE, "name": NAMES_SCHEMA, "department": CODE}
_POOL = {
    "code": CODE,
    "name": NAMES_SCHEMA,
    "zone": {"enum": list(ZONES)},
    "engine": {"enum": list(ENGINES)},
    "cloud": CODE,
    "availability_zone": CODE,
    "warning_percent": {"type": "integer", "minimum": 1, "maximum": 100},
    "capacity": _CAPACITY,
}
_QUOTA = {"department": CODE, "zone": {"enum": list(ZONES)}, "capacity": _CAPACITY}
_STEP = _list_of(
    {
        "office": CODE,
        "name": NAMES_SCHEMA,
        "time_limit_working_days": {"type": "integer", "minimum": 1, "maximum": 90},
    },
    ["time_limit_working_days"],
)
_CHAIN = {"code": CODE, "name": NAMES_SCHEMA, "steps": {**_STEP, "minItems": 1}}
_PRICE = {
    "item": {"type": "string", "pattern": DIMENSION_PATTERN},
    "name": NAMES_SCHEMA,
    "unit": {"type": "string", "minLength": 1, "maxLength": 20},
    "unit_quantity": {"type": "integer", "minimum": 1},
    "yuan_per_unit_hour": {"type": "string", "pattern": "^[0-9]{1,6}(\\.[0-9]{1,6})?$"},
    "from": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
}

#: file -> (key of its list, schema)
FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "departments.yml": (
        "departments",
        _file("departments", _list_of(_DEPARTMENT, ["parent", "domain"])),
    ),
    "offices.yml": ("offices", _file("offices", _list_of(_OFFICE))),
    "pools.yml": ("pools", _file("pools", _list_of(_POOL, ["warning_percent"]))),
    "quotas.yml": ("quotas", _file("quotas", _list_of(_QUOTA))),
    "approvals.yml": ("chains", _file("chains", _list_of(_CHAIN))),
    "prices.yml": ("prices", _file("prices", _list_of(_PRICE))),
}


@dataclass(frozen=True)
class Declared:
    """The lists of all files, checked; each entry is the plain mapping of its file."""

    departments: list[dict[str, Any]] = field(default_factory=list)
    offices: list[dict[str, Any]] = field(default_factory=list)
    pools: list[dict[str, Any]] = field(default_factory=list)
    quotas: list[dict[str, Any]] = field(default_factory=list)
    chains: list[dict[str, Any]] = field(default_factory=list)
    prices: list[dict[str, Any]] = field(default_factory=list)


def load_quotas(folder: Path, needed_chains: Iterable[str] = ()) -> Declared:
    """Errors: DeclarationInvalid with every problem. `needed_chains` are those services name."""
    lists: dict[str, list[dict[str, Any]]] = {}
    documents: dict[str, Document] = {}
    problems: list[str] = []
    for name, (key, schema) in FILES.items():
        document, found = read_document(folder / name, folder.parent)
        if document is not None:
            found = check_against(document, schema)
        problems += found
        if document is not None and not found:
            documents[key] = document
            lists[key] = document.data[key]
    known = _known_files(folder)
    problems += [
        f"{folder.name}/{n}: not a file that is read; expected {sorted(FILES)}" for n in known
    ]
    problems += _cross_problems(documents, lists, needed_chains)
    if problems:
        raise DeclarationInvalid(problems)
    return Declared(**lists)


def _known_files(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.glob("*.y*ml") if p.name not in FILES)


Documents = Mapping[str, Document]
Lists = Mapping[str, list[dict[str, Any]]]


def _cross_problems(documents: Documents, lists: Lists, needed_chains: Iterable[str]) -> list[str]:
    """What shows only between entries; a file that is wrong in itself is left out."""
    problems = _repeat_problems(documents, lists) + _reference_problems(documents, lists)
    if "departments" in lists:
        problems += _tree_problems(documents["departments"], lists["departments"])
    if "prices" in lists:
        problems += _price_problems(documents["prices"], lists["prices"])
    if "chains" in lists:
        missing = sorted(set(needed_chains) - {c["code"] for c in lists["chains"]})
        problems += [
            documents["chains"].problem(["chains"], f"chain {c} is named by a service but missing")
            for c in missing
        ]
    return problems


def _identity(key: str, entry: Mapping[str, Any]) -> str:
    """What no second entry of the same list may be."""
    match key:
        case "quotas":
            return f"quota of {entry['department']}/{entry['zone']}"
        case "prices":
            return f"price of {entry['item']} from {entry['from']}"
        case _:
            return str(entry["code"])


def _repeat_problems(documents: Documents, lists: Lists) -> list[str]:
    problems = []
    for key, entries in lists.items():
        seen: set[str] = set()
        for i, entry in enumerate(entries):
            identity = _identity(key, entry)
            if identity in seen:
                problems.append(documents[key].problem([key, i], f"{identity} is declared twice"))
            seen.add(identity)
    return problems


def _reference_problems(documents: Documents, lists: Lists) -> list[str]:
    problems = []
    for key, field_name, target in (
        ("departments", "parent", "departments"),
        ("offices", "department", "departments"),
        ("quotas", "department", "departments"),
    ):
        if key not in lists or target not in lists:
            continue
        codes = {entry["code"] for entry in lists[target]}
        problems += [
            documents[key].problem([key, i, field_name], f"there is no department {code}")
            for i, entry in enumerate(lists[key])
            if (code := entry.get(field_name)) is not None and code not in codes
        ]
    if "chains" in lists and "offices" in lists:
        offices = {office["code"] for office in lists["offices"]}
        problems += [
            documents["chains"].problem(
                ["chains", i, "steps", j, "office"], f"there is no office {step['office']}"
            )
            for i, chain in enumerate(lists["chains"])
            for j, step in enumerate(chain["steps"])
            if step["office"] not in offices
        ]
    return problems


def _tree_problems(document: Document, departments: list[dict[str, Any]]) -> list[str]:
    """A parent stands above its children in the file, so the tree has no cycle."""
    seen: set[str] = set()
    problems = []
    codes = {d["code"] for d in departments}
    for i, department in enumerate(departments):
        parent = department.get("parent")
        if parent in codes and parent not in seen:
            text = f"{parent} must stand above {department['code']}"
            problems.append(document.problem(["departments", i, "parent"], text))
        seen.add(department["code"])
    return problems + _domain_problems(document, departments)


def _domain_problems(document: Document, departments: list[dict[str, Any]]) -> list[str]:
    """A domain is one department's."""
    holders: dict[str, str] = {}
    problems = []
    for i, department in enumerate(departments):
        domain = department.get("domain")
        if domain in holders:
            text = f"{domain} is {holders[domain]}'s already"
            problems.append(document.problem(["departments", i, "domain"], text))
        elif domain is not None:
            holders[domain] = department["code"]
    return problems


def _price_problems(document: Document, prices: list[dict[str, Any]]) -> list[str]:
    problems = []
    for i, price in enumerate(prices):
        try:
            price_start(price)
        except ValueError:
            problems.append(document.problem(["prices", i, "from"], "is not a date"))
    return problems


def price_start(price: Mapping[str, Any]) -> int:
    """Epoch second at which a price begins: midnight of Asia/Shanghai. Errors: ValueError."""
    day = date.fromisoformat(price["from"])
    return int(datetime(day.year, day.month, day.day, tzinfo=LOCAL_ZONE).timestamp())


def micro_yuan(yuan: str) -> int:
    """Whole micro-yuan of a decimal text with at most six places. Errors: ValueError."""
    try:
        return int(Decimal(yuan) * 1_000_000)
    except InvalidOperation as error:
        raise ValueError(yuan) from error
