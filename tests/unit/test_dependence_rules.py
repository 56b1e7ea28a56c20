"""What one resource standing on another forbids, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.provisioning.dependence import (
    NAMES_SHOWN,
    Standing,
    base_faults,
    names_of,
    need_faults,
    stays_faults,
)
from controlplane.provisioning.rules import ResourceState

DATA = Standing("数据", "RES-1", {"vcpu": 2, "memory_mib": 2048})
LOGS = Standing("日志", "RES-2", {"memory_mib": 1024})
DISK = Standing("硬盘", "RES-3")


def test_what_nothing_stands_on_may_go_and_what_something_does_says_its_name() -> None:
    assert stays_faults([]) == []
    [fault] = stays_faults([DATA, DISK])
    assert fault.code == "has_dependents"
    assert fault.params["names"] == "数据（RES-1）、硬盘（RES-3）"


def test_of_many_a_sentence_names_the_first_and_says_how_many_they_are() -> None:
    many = [Standing(f"盘{i}", f"RES-{i}") for i in range(NAMES_SHOWN + 3)]
    said = names_of(many)
    assert f"盘{NAMES_SHOWN - 1}" in said
    assert f"盘{NAMES_SHOWN}" not in said
    assert said.endswith(f"…（{NAMES_SHOWN + 3}）")


@pytest.mark.parametrize(
    ("standing", "before", "after", "short"),
    [
        ([], {"vcpu": 8}, {"vcpu": 1}, {}),
        ([DISK], {"vcpu": 8}, {"vcpu": 1}, {}),
        ([DATA], {"vcpu": 8, "memory_mib": 8192}, {"vcpu": 2, "memory_mib": 2048}, {}),
        ([DATA], {"vcpu": 8, "memory_mib": 8192}, {"vcpu": 1, "memory_mib": 2048}, {"vcpu": 2}),
        # Together they need more than each alone.
        ([DATA, LOGS], {"vcpu": 2, "memory_mib": 8192}, {"vcpu": 2, "memory_mib": 2048},
         {"memory_mib": 3072}),
        ([DATA], {"vcpu": 8, "memory_mib": 8192}, {}, {"memory_mib": 2048, "vcpu": 2}),
        # Too small already: the way to more is open, and so is another dimension's.
        ([DATA], {"vcpu": 1, "memory_mib": 1024}, {"vcpu": 1, "memory_mib": 1536}, {}),
        ([DATA], {"vcpu": 1, "memory_mib": 8192}, {"vcpu": 1, "memory_mib": 4096}, {}),
    ],
)  # fmt: skip
def test_what_carries_others_is_not_made_smaller_than_they_need(
    standing: list[Standing], before: dict[str, int], after: dict[str, int], short: dict[str, int]
) -> None:
    faults = need_faults(standing, before, after, "plan")
    assert {f.params["dimension"]: f.params["need"] for f in faults} == short
    assert all((f.code, f.field) == ("dependents_need", "plan") for f in faults)
    assert all(f.params["left"] == after.get(f.params["dimension"], 0) for f in faults)


def test_a_shortage_names_those_who_need_it_and_no_other() -> None:
    [vcpu] = need_faults(
        [DATA, LOGS], {"vcpu": 4, "memory_mib": 9999}, {"vcpu": 1, "memory_mib": 9999}
    )
    assert vcpu.params["names"] == "数据（RES-1）"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ResourceState.BUILDING, "base_not_ready"),
        (ResourceState.ACTIVE, None),
        (ResourceState.STOPPED, None),
        (ResourceState.CHANGING, None),
        (ResourceState.RETIRING, "base_leaving"),
        (ResourceState.DESTROYING, "base_leaving"),
        (ResourceState.RETIRED, "base_leaving"),
        (ResourceState.FAILED, "base_leaving"),
    ],
)
def test_in_which_states_a_resource_carries_another(state: str, code: str | None) -> None:
    faults = base_faults("主机", state, {"vcpu": 2}, {"vcpu": 2}, "attach_to")
    assert [(f.code, f.field, f.params["name"]) for f in faults] == (
        [(code, "attach_to", "主机")] if code else []
    )


@pytest.mark.parametrize(
    ("capacity", "needs", "short"),
    [
        ({"vcpu": 2}, {}, []),
        ({"vcpu": 2}, {"vcpu": 2}, []),
        ({"vcpu": 1}, {"vcpu": 2}, ["vcpu"]),
        ({"vcpu": 1}, {"memory_mib": 1, "vcpu": 2}, ["memory_mib", "vcpu"]),
    ],
)
def test_what_is_too_small_carries_nothing(
    capacity: dict[str, int], needs: dict[str, int], short: list[Any]
) -> None:
    faults = base_faults("主机", ResourceState.ACTIVE, capacity, needs)
    assert [f.params["dimension"] for f in faults] == short
    assert {f.code for f in faults} <= {"base_too_small"}
