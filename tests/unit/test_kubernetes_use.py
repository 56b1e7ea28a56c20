"""What pods and their volumes use, by the resource they belong to."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.drivers.kubernetes_use import disk_readings_of, readings_of
from controlplane.readings import DiskReading, UseReading

MIB = 2**20


def pod(name: str, namespace: str, cpu: int | None = None, memory: int | None = None) -> Any:
    told: dict[str, Any] = {"podRef": {"name": name, "namespace": namespace}}
    if cpu is not None:
        told["cpu"] = {"usageNanoCores": cpu}
    if memory is not None:
        told["memory"] = {"workingSetBytes": memory}
    return told


BY_POD = {("health", "app-1"): "app", ("health", "app-2"): "app", ("own", "db-0"): "db"}
BY_NAMESPACE = {"own": "namespace"}


@pytest.mark.parametrize(
    ("summaries", "used"),
    [
        ([], {}),
        ([{}], {}),
        ([{"pods": [pod("coredns", "kube-system", 10**9, MIB)]}], {}),
        (
            [
                {"pods": [pod("app-1", "health", 1_500_000, 10 * MIB)]},
                {"pods": [pod("app-2", "health", 2_000_001, MIB + 1)]},
            ],
            {"app": UseReading(4, 12)},
        ),
        ([{"pods": [pod("app-1", "health")]}], {"app": UseReading(0, 0)}),
        (
            [{"pods": [pod("db-0", "own", 10**6, MIB), pod("theirs", "own", 10**9, 2 * MIB)]}],
            {"db": UseReading(1, 1), "namespace": UseReading(1000, 2)},
        ),
    ],
    ids=["no node", "silent node", "of nobody", "two nodes", "just begun", "in a namespace"],
)
def test_pods_count_for_their_resource(summaries: list[Any], used: dict[str, UseReading]) -> None:
    assert readings_of(summaries, BY_POD, BY_NAMESPACE) == used


GIB = 2**30
CLAIMS = {("own", "db"): ("db", 10 * GIB)}


def volume(size: int, free: int, claim: str | None = "db") -> Any:
    told: dict[str, Any] = {"name": "data", "capacityBytes": size, "availableBytes": free}
    return told | ({"pvcRef": {"name": claim, "namespace": "own"}} if claim else {})


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (volume(9 * GIB, GIB), {"db": DiskReading(8 * GIB, False, 9 * GIB)}),
        (volume(GIB, 0), {"db": DiskReading(GIB, False, GIB)}),
        (volume(250 * GIB, GIB), {}),
        (volume(0, 0), {}),
        (volume(9 * GIB, GIB, "other"), {}),
        (volume(9 * GIB, GIB, None), {}),
        ({"name": "data", "pvcRef": {"name": "db", "namespace": "own"}}, {}),
    ],
    ids=["own", "full", "a folder", "empty", "of nobody", "no claim", "not measured yet"],
)
def test_a_volume_with_a_file_system_of_its_own_tells_how_full_it_is(
    told: Any, found: dict[str, DiskReading]
) -> None:
    summary = {"pods": [{**pod("db-0", "own"), "volume": [told]}, pod("app", "own")]}
    assert disk_readings_of([{}, summary], CLAIMS) == found
