"""People declared in a file: checked whole, then added; who is there already is left alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import audit
from controlplane.catalogue.schema import CODE
from controlplane.declarations import Document, check_against, read_document
from controlplane.errors import DeclarationInvalid
from controlplane.policy import Role
from controlplane.tenancy.models import Department, Office, Person, RoleGrant
from controlplane.tenancy.service import hash_password

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "people": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "login": {"type": "string", "pattern": "^[a-z][a-z0-9._-]{0,63}$"},
                    "name": {"type": "string", "minLength": 1, "maxLength": 80},
                    "department": CODE,
                    "password": {
                        "type": "string",
                        "minLength": 10,
                        "maxLength": 200,
                        "writeOnly": True,
                    },
                    "roles": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "properties": {
                                "role": {"enum": [r.value for r in Role]},
                                "department": CODE,
                                "office": CODE,
                            },
                            "required": ["role"],
                            "additionalProperties": False,
                        },
                    },
                },
                "required": ["login", "name", "department", "password", "roles"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["people"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class PersonDeclared:
    """`roles` are {role, department?, office?}; a role without either holds for the whole city."""

    login: str
    name: str
    department: str
    password: str = field(repr=False)
    roles: tuple[dict[str, str], ...]


def load_people(path: Path) -> list[PersonDeclared]:
    """Errors: DeclarationInvalid with every problem."""
    document, problems = read_document(path, path.parent)
    if document is not None:
        problems = check_against(document, _SCHEMA)
    if document is None or problems:
        raise DeclarationInvalid(problems)
    people = [PersonDeclared(**{**p, "roles": tuple(p["roles"])}) for p in document.data["people"]]
    problems = _repeat_problems(document, people)
    if problems:
        raise DeclarationInvalid(problems)
    return people


def _repeat_problems(document: Document, people: list[PersonDeclared]) -> list[str]:
    seen: set[str] = set()
    problems = []
    for i, person in enumerate(people):
        if person.login in seen:
            text = f"{person.login} is declared twice"
            problems.append(document.problem(["people", i, "login"], text))
        seen.add(person.login)
    return problems


def add_people(session: Session, people: list[PersonDeclared], now: datetime) -> int:
    """Adds those whose login is new; returns how many. Errors: DeclarationInvalid."""
    departments = {d.code: d.id for d in session.scalars(sa.select(Department))}
    offices = {o.code: o.id for o in session.scalars(sa.select(Office))}
    problems = [
        f"{person.login}: there is no {kind} {code}"
        for person in people
        for kind, known, code in _named(person, departments, offices)
        if code not in known
    ]
    if problems:
        raise DeclarationInvalid(problems)
    there = set(session.scalars(sa.select(Person.login)))
    added = [p for p in people if p.login not in there]
    for declared in added:
        person = Person(
            login=declared.login,
            name=declared.name,
            department_id=departments[declared.department],
            password_hash=hash_password(declared.password),
            grants=[
                RoleGrant(
                    role=role["role"],
                    department_id=departments[role["department"]] if "department" in role else None,
                    office_id=offices[role["office"]] if "office" in role else None,
                )
                for role in declared.roles
            ],
        )
        session.add(person)
        session.flush()
        audit.record(
            session,
            audit.SYSTEM,
            "person_added",
            at=now,
            object_type="person",
            object_id=str(person.id),
            department_id=person.department_id,
            login=person.login,
            roles=[role["role"] for role in declared.roles],
        )
    return len(added)


def _named(
    person: PersonDeclared, departments: dict[str, int], offices: dict[str, int]
) -> list[tuple[str, dict[str, int], str]]:
    named = [("department", departments, person.department)]
    for role in person.roles:
        if "department" in role:
            named.append(("department", departments, role["department"]))
        if "office" in role:
            named.append(("office", offices, role["office"]))
    return named
