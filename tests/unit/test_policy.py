"""Who may do what: the whole table, written down a second time."""

from __future__ import annotations

import pytest

from controlplane.policy import (
    TABLE,
    Grant,
    Role,
    Scope,
    Subject,
    is_allowed,
    visible_subtrees,
)

#: S: in the subtree of the grant; O: where the grant's office takes part; C: everywhere; -: never.
EXPECTED = """
                       applicant approver engineer finance supervisor administrator
home.view                  C        C        C        C        C        C
catalogue.view             C        C        C        C        C        C
request.create             S        -        -        -        -        -
request.view               S        O        C        C        C        -
request.withdraw           S        -        -        -        -        -
request.decide             -        O        -        -        -        -
resource.view              S        -        C        C        C        -
resource.operate           S        -        C        -        -        -
resource.change            S        -        -        -        -        -
resource.connect           S        -        -        -        -        -
resource.logs              S        -        C        -        -        -
resource.renew             S        -        -        -        -        -
resource.retire            S        -        C        -        -        -
resource.retire_now        -        -        C        -        -        -
backup.view                S        -        C        -        C        -
backup.take                S        -        C        -        -        -
backup.restore             S        -        -        -        -        -
backup.prove               -        -        C        -        -        -
resource.protect           S        -        C        -        -        -
resource.second            S        -        C        -        -        -
certificate.view           S        -        C        -        C        -
approval.view              -        C        -        -        -        -
job.view                   -        -        C        -        C        -
job.manage                 -        -        C        -        -        -
upgrade.view               -        -        C        -        C        -
upgrade.manage             -        -        C        -        -        -
pool.view                  -        C        C        C        C        -
quota.view                 S        C        C        C        C        C
month.view                 S        -        -        C        C        -
price.view                 C        C        C        C        C        C
tenancy.view               -        -        -        -        -        C
audit.view                 -        -        -        -        C        C
token.manage               C        C        C        C        C        C
"""
LETTERS = {"S": Scope.SUBTREE, "O": Scope.OFFICE, "C": Scope.CITY}


def expected() -> dict[tuple[str, Role], Scope | None]:
    head, *lines = (line.split() for line in EXPECTED.strip().splitlines())
    roles = [Role(name) for name in head]
    return {
        (action, role): LETTERS.get(letter)
        for action, *letters in lines
        for role, letter in zip(roles, letters, strict=True)
    }


def person(*grants: Grant) -> Subject:
    return Subject(7, "李敏", 4, "/1/4/", grants)


CITY, OWN, BELOW, ELSEWHERE, LIKE_OWN = "/1/", "/1/4/", "/1/4/9/", "/1/5/", "/1/44/"
OUR_OFFICE, OTHER_OFFICE = 3, 8


def test_the_table_is_the_one_written_here() -> None:
    written = {action for action, _ in expected()}
    assert set(TABLE) == written
    assert {(a, r): TABLE[a].get(r) for a in TABLE for r in Role} == expected()


@pytest.mark.parametrize(("action", "role"), list(expected()))
def test_each_role_reaches_as_far_as_the_table_says(action: str, role: Role) -> None:
    scope = expected()[action, role]
    who = person(Grant(role, OWN, OUR_OFFICE))
    assert is_allowed(who, action) == (scope is not None)
    for path, inside in ((OWN, True), (BELOW, True), (CITY, False), (ELSEWHERE, False)):
        reaches = scope is Scope.CITY or (scope is Scope.SUBTREE and inside)
        assert is_allowed(who, action, department_path=path) == reaches, path
    takes_part = scope in (Scope.OFFICE, Scope.CITY)
    asked = {"department_path": ELSEWHERE}
    assert is_allowed(who, action, office_ids=[OUR_OFFICE], **asked) == takes_part
    assert is_allowed(who, action, office_ids=[OTHER_OFFICE], **asked) == (scope is Scope.CITY)


@pytest.mark.parametrize("action", sorted(TABLE))
def test_without_a_grant_nothing_is_allowed(action: str) -> None:
    nobody = person()
    assert not is_allowed(nobody, action)
    assert not is_allowed(nobody, action, department_path=OWN, office_ids=[OUR_OFFICE])
    assert visible_subtrees(nobody, action) == ()


def test_a_subtree_ends_at_a_whole_step_of_the_path() -> None:
    who = person(Grant(Role.APPLICANT, OWN))
    assert not is_allowed(who, "request.create", department_path=LIKE_OWN)


def test_a_grant_for_the_whole_city_reaches_every_department() -> None:
    who = person(Grant(Role.APPLICANT))
    assert is_allowed(who, "request.create", department_path=ELSEWHERE)
    assert visible_subtrees(who, "request.create") is None


def test_an_approver_without_an_office_decides_nothing_in_particular() -> None:
    who = person(Grant(Role.APPROVER))
    assert who.office_ids == frozenset()
    assert not is_allowed(who, "request.decide", office_ids=[OUR_OFFICE])


def test_an_action_that_is_not_in_the_table_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        is_allowed(person(), "request.burn")


@pytest.mark.parametrize(
    ("grants", "seen"),
    [
        ([Grant(Role.APPLICANT, OWN)], (OWN,)),
        ([Grant(Role.APPLICANT, ELSEWHERE), Grant(Role.APPLICANT, OWN)], (OWN, ELSEWHERE)),
        ([Grant(Role.APPLICANT, OWN), Grant(Role.APPLICANT, OWN)], (OWN,)),
        ([Grant(Role.APPROVER, OWN, OUR_OFFICE)], ()),
        ([Grant(Role.APPLICANT, OWN), Grant(Role.SUPERVISOR)], None),
        ([Grant(Role.ADMINISTRATOR)], ()),
    ],
)
def test_lists_show_the_subtrees_of_all_grants(
    grants: list[Grant], seen: tuple[str, ...] | None
) -> None:
    assert visible_subtrees(person(*grants), "request.view") == seen
