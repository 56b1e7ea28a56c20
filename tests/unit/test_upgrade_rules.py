"""Upgrades: whose turn it is, what becomes of a campaign, and what one would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controlplane.catalogue.loader import load_catalogue
from controlplane.catalogue.versions import Catalogue
from controlplane.config import CHECKOUT
from controlplane.upgrade_previews import Standing, upgrade_action, upgraded
from controlplane.upgrades.rules import (
    Place,
    Selector,
    Traits,
    group_of,
    next_member,
    selector_in,
    state_after,
)
from tests.newer import release_drill, services_with_drill

STATES = {
    "p": "pending", "r": "running", "b": "going_back", "d": "done", "f": "failed", "s": "skipped",
}  # fmt: skip


def places(text: str) -> list[Place]:
    """`pp|d`: two pending in the first group, one done in the second; ids count from 1."""
    groups = enumerate(text.split("|"), start=1)
    letters = [(group, letter) for group, part in groups for letter in part]
    return [Place(i, group, STATES[x]) for i, (group, x) in enumerate(letters, start=1)]


@pytest.mark.parametrize(
    ("members", "at_once", "not_now", "expected"),
    [
        ("ppp", 1, (), 1),
        ("rpp", 1, (), None),
        ("rpp", 2, (), 2),
        ("rrp", 2, (), None),
        ("drp", 2, (), 3),
        ("spp", 1, (), 2),
        ("ppp", 1, (1, 2), 3),
        ("ppp", 1, (1, 2, 3), None),
        ("dd|pp", 1, (), 3),
        ("dr|pp", 3, (), None),
        ("dp|pp", 3, (2,), None),
        ("ds|rp|p", 2, (), 4),
        ("fp", 5, (), None),
        ("bp", 5, (), None),
        ("d|f|p", 5, (), None),
        ("dd|s", 5, (), None),
        ("", 5, (), None),
    ],
)
def test_whose_turn_it_is(
    members: str, at_once: int, not_now: tuple[int, ...], expected: int | None
) -> None:
    assert next_member(places(members), at_once, not_now) == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ("dp", "running"),
        ("dr", "running"),
        ("ds", "finished"),
        ("db", "stopped"),
        ("rf", "stopped"),
        ("dddf", "stopped"),
    ],
)
def test_what_becomes_of_a_running_campaign(members: str, expected: str) -> None:
    assert state_after(place.state for place in places(members)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("department:health", Selector("department", ("health",))),
        (" zone:office ", Selector("zone", ("office",))),
        ("plan:small", Selector("plan", ("small",))),
        ("R-2026-000001, R-2026-000002", Selector("number", ("R-2026-000001", "R-2026-000002"))),
        ("department:", None),
        ("colour:red", None),
        ("R-2026-1", None),
        ("", None),
    ],
)
def test_how_a_group_is_written(text: str, expected: Selector | None) -> None:
    assert selector_in(text) == expected


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([], 1),
        (["department:city"], 1),
        (["zone:office", "department:health"], 2),
        (["plan:small", "department:health"], 1),
        (["R-2026-000009", "zone:internet"], 2),
        (["R-2026-000009", "zone:office"], 3),
    ],
)
def test_the_first_group_that_selects_an_instance_has_it(groups: list[str], expected: int) -> None:
    traits = Traits("R-2026-000001", frozenset({"health", "city"}), "internet", "small")
    selectors = [selector for text in groups if (selector := selector_in(text))]
    assert group_of(selectors, traits) == expected


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    services = services_with_drill(tmp_path)
    release_drill(
        services, ("disk_gib: {type: integer, minimum: 10", "disk_gib: {type: integer, minimum: 30")
    )
    return load_catalogue(services)


@pytest.mark.parametrize(
    ("form", "zone", "state", "asked", "faults"),
    [
        ({"disk_gib": 40}, "internet", "active", {"vcpu": 1, "memory_mib": 2048}, []),
        ({"disk_gib": 40}, "internet", "stopped", {"vcpu": 1, "memory_mib": 2048}, []),
        ({"disk_gib": 40}, "internet", "changing", {"vcpu": 1, "memory_mib": 2048}, []),
        ({"disk_gib": 20}, "internet", "active", {}, ["disk_gib: field_too_small"]),
        ({"plan": "large"}, "internet", "active", {}, ["plan: field_choice"]),
        (
            {"plan": "large", "disk_gib": 20},
            "classified",
            "retiring",
            {},
            [
                "plan: field_choice",
                "disk_gib: field_too_small",
                ": state_conflict",
                "zone: zone_not_offered",
            ],
        ),
    ],
)
def test_what_an_upgrade_would_change_and_every_reason_why_not(
    catalogue: Catalogue,
    form: dict[str, Any],
    zone: str,
    state: str,
    asked: dict[str, int],
    faults: list[str],
) -> None:
    old, new = catalogue.versions("drill")
    action = upgrade_action(new)
    assert action is not None
    spec = old.spec_of({"system_name": "核对", "plan": "small", **form})
    standing = Standing(spec, old.capacity_of(spec), zone)
    seen = upgraded(old, new, action, standing, state)
    assert [f"{f.field}: {f.code}" for f in seen.faults] == faults
    assert seen.asked == asked
    assert (seen.restarts, seen.playbook) == (True, "services/drill/change.yml")
    if not faults:
        assert seen.spec["plan"]["vcpu"] == 2
        assert seen.capacity == new.capacity_of(seen.spec)


@pytest.mark.parametrize(("plan", "restarts"), [("small", False), ("own_small", True)])
def test_postgresql_is_upgraded_without_a_break_on_the_shared_server_alone(
    plan: str, restarts: bool
) -> None:
    *_, old, new = load_catalogue(CHECKOUT / "playbooks" / "services").versions("postgresql")
    action = upgrade_action(new)
    assert action is not None
    spec = old.spec_of({"system_name": "核对", "plan": plan, "database_name": "dibao"})
    standing = Standing(spec, old.capacity_of(spec), "internet")
    seen = upgraded(old, new, action, standing, "active")
    assert (seen.faults, seen.asked, seen.restarts) == ((), {}, restarts)
