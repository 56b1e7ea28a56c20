"""Who may do what: one table of action x role x whose department. What is not in it is denied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    APPLICANT = "applicant"
    APPROVER = "approver"
    ENGINEER = "engineer"
    FINANCE = "finance"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"


class Scope(StrEnum):
    """How far a role reaches for an action."""

    SUBTREE = "subtree"  # things of the grant's department and those below it
    OFFICE = "office"  # things that the grant's office takes part in
    CITY = "city"  # everything


@dataclass(frozen=True)
class Grant:
    """A role with the subtree it stands for ("/1/4/"; None: the whole city) and its office."""

    role: Role
    department_path: str | None = None
    office_id: int | None = None


@dataclass(frozen=True)
class Subject:
    """Who asks: a signed-in person with what was granted to them."""

    person_id: int
    name: str
    department_id: int
    department_path: str
    grants: tuple[Grant, ...]

    def has(self, *roles: Role) -> bool:
        return any(grant.role in roles for grant in self.grants)

    @property
    def office_ids(self) -> frozenset[int]:
        """Offices for which the person decides."""
        return frozenset(
            g.office_id for g in self.grants if g.role is Role.APPROVER and g.office_id is not None
        )


_A, _O, _E, _F, _S, _M = (
    Role.APPLICANT,
    Role.APPROVER,
    Role.ENGINEER,
    Role.FINANCE,
    Role.SUPERVISOR,
    Role.ADMINISTRATOR,
)
_EVERYBODY = dict.fromkeys(Role, Scope.CITY)

TABLE: dict[str, dict[Role, Scope]] = {
    "home.view": _EVERYBODY,
    "catalogue.view": _EVERYBODY,
    "request.create": {_A: Scope.SUBTREE},
    "request.view": {
        _A: Scope.SUBTREE,
        _O: Scope.OFFICE,
        _E: Scope.CITY,
        _F: Scope.CITY,
        _S: Scope.CITY,
    },
    "request.withdraw": {_A: Scope.SUBTREE},
    "request.decide": {_O: Scope.OFFICE},
    "resource.view": {
        _A: Scope.SUBTREE,
        _E: Scope.CITY,
        _F: Scope.CITY,
        _S: Scope.CITY,
    },
    "resource.operate": {_A: Scope.SUBTREE, _E: Scope.CITY},
    "resource.change": {_A: Scope.SUBTREE},
    "resource.renew": {_A: Scope.SUBTREE},
    "resource.retire": {_A: Scope.SUBTREE, _E: Scope.CITY},
    "resource.connect": {_A: Scope.SUBTREE},
    "resource.logs": {_A: Scope.SUBTREE, _E: Scope.CITY},
    "resource.retire_now": {_E: Scope.CITY},
    "backup.view": {_A: Scope.SUBTREE, _E: Scope.CITY, _S: Scope.CITY},
    "backup.take": {_A: Scope.SUBTREE, _E: Scope.CITY},
    "backup.restore": {_A: Scope.SUBTREE},
    "backup.prove": {_E: Scope.CITY},
    "resource.protect": {_A: Scope.SUBTREE, _E: Scope.CITY},
    "resource.second": {_A: Scope.SUBTREE, _E: Scope.CITY},
    "certificate.view": {_A: Scope.SUBTREE, _E: Scope.CITY, _S: Scope.CITY},
    "approval.view": {_O: Scope.CITY},
    "job.view": {_E: Scope.CITY, _S: Scope.CITY},
    "job.manage": {_E: Scope.CITY},
    "upgrade.view": {_E: Scope.CITY, _S: Scope.CITY},
    "upgrade.manage": {_E: Scope.CITY},
    "pool.view": {_O: Scope.CITY, _E: Scope.CITY, _F: Scope.CITY, _S: Scope.CITY},
    "quota.view": {
        _A: Scope.SUBTREE,
        _O: Scope.CITY,
        _E: Scope.CITY,
        _F: Scope.CITY,
        _S: Scope.CITY,
        _M: Scope.CITY,
    },
    "month.view": {_A: Scope.SUBTREE, _F: Scope.CITY, _S: Scope.CITY},
    "price.view": _EVERYBODY,
    "tenancy.view": {_M: Scope.CITY},
    "audit.view": {_S: Scope.CITY, _M: Scope.CITY},
    "token.manage": _EVERYBODY,
}


def is_allowed(
    subject: Subject,
    action: str,
    *,
    department_path: str | None = None,
    office_ids: Iterable[int] = (),
) -> bool:
    """Whether `subject` may do `action` to a thing of the department at `department_path`.

    `office_ids` are the offices that take part in the thing. With neither, the question is whether
    the person may do it to anything at all (a menu entry, a list that is then filtered). An action
    missing from the table is a programming error: KeyError.
    """
    reaches = TABLE[action]
    unspecific = department_path is None and not office_ids
    offices = frozenset(office_ids)
    for grant in subject.grants:
        scope = reaches.get(grant.role)
        if scope is None:
            continue
        if scope is Scope.OFFICE:
            if unspecific or grant.office_id in offices:
                return True
        elif scope is Scope.SUBTREE and not unspecific:
            if department_path is not None and _within(department_path, grant.department_path):
                return True
        else:
            return True
    return False


def visible_subtrees(subject: Subject, action: str) -> tuple[str, ...] | None:
    """Paths of the subtrees in which `subject` may do `action`; None: everywhere; (): nowhere."""
    reaches = TABLE[action]
    paths: list[str] = []
    for grant in subject.grants:
        scope = reaches.get(grant.role)
        if scope is Scope.CITY or (scope is Scope.SUBTREE and grant.department_path is None):
            return None
        if scope is Scope.SUBTREE and grant.department_path is not None:
            paths.append(grant.department_path)
    return tuple(sorted(set(paths)))


def _within(path: str, root: str | None) -> bool:
    return root is None or path.startswith(root)
