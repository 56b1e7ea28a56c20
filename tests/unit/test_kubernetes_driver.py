"""What of a cluster's nodes counts for a pool, and what a run is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from controlplane.drivers.kubernetes import ZONE_LABEL, allocatable, kubeconfig_of


def node(zone: str = "", cpu: str = "4", memory: str = "8Gi", closed: bool = False) -> Any:
    return SimpleNamespace(
        spec=SimpleNamespace(unschedulable=closed or None),
        metadata=SimpleNamespace(labels={ZONE_LABEL: zone} if zone else None),
        status=SimpleNamespace(allocatable={"cpu": cpu, "memory": memory}),
    )


def test_a_zone_has_the_nodes_that_name_it() -> None:
    nodes = [node("internet"), node("internet", cpu="1500m"), node("office")]
    assert allocatable(nodes, "internet", 1) == {"vcpu": 5, "memory_mib": 16384}
    assert allocatable(nodes, "classified", 1) == {"vcpu": 0, "memory_mib": 0}


def test_nodes_that_name_no_zone_serve_every_one_and_closed_ones_none() -> None:
    nodes = [node(), node(closed=True)]
    assert allocatable(nodes, "office", 1) == {"vcpu": 4, "memory_mib": 8192}


def test_requests_made_smaller_make_cpus_more_and_memory_not() -> None:
    assert allocatable([node()], "office", 16) == {"vcpu": 64, "memory_mib": 8192}


def test_a_run_is_told_a_context_for_each_token(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("authority")
    configuration = SimpleNamespace(host="https://cluster", ssl_ca_cert=str(authority))
    tokens = {"admin": "t1", "department": "t2"}
    made = kubeconfig_of(configuration, tokens, {"department": "egov-water-internet"})
    assert made["current-context"] == "admin"
    assert {c["name"]: c["context"]["namespace"] for c in made["contexts"]} == {
        "admin": "default",
        "department": "egov-water-internet",
    }
    assert made["users"][1] == {"name": "department", "user": {"token": "t2"}}
