"""What of a cluster's nodes counts for a pool, what a run is told, whose log is archived."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from controlplane.access import OwnServer
from controlplane.drivers.kubernetes import ZONE_LABEL, allocatable, kubeconfig_of
from controlplane.drivers.kubernetes_logs import log_hosts


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


BOUND = ["-c", "max_slot_wal_keep_size=1024MB"]
TOLD = {
    "kubernetes_ca_file": "/ca.crt",
    "kubernetes_postgresql_log_tools": "/pg15/bin",
    "kubernetes_mariadb_log_tools": "/maria/bin",
}


def named(resource_id: str, **more: Any) -> Any:
    fields = {"labels": {"egov/resource-id": resource_id}, "annotations": None, **more}
    return SimpleNamespace(**{"deletion_timestamp": None, **fields})


def stateful_set(resource_id: str, replicas: int = 1, args: Any = BOUND, **more: Any) -> Any:
    container = SimpleNamespace(args=args)
    template = SimpleNamespace(spec=SimpleNamespace(containers=[container]))
    spec = SimpleNamespace(replicas=replicas, template=template)
    return SimpleNamespace(metadata=named(resource_id, **more), spec=spec)


def secret(resource_id: str) -> Any:
    password = base64.b64encode(f"of-{resource_id}".encode()).decode()
    return SimpleNamespace(metadata=named(resource_id), data={"password": password})


def test_servers_that_run_with_a_bound_are_archived_and_no_others() -> None:
    declared = [
        stateful_set("runs"),
        stateful_set("somebody-elses"),
        stateful_set("suspended", replicas=0),
        stateful_set("woken", annotations={"egov/woken": "true"}),
        stateful_set("going", deletion_timestamp="2026-11-24"),
        stateful_set("made-before", args=["-c", "ssl=on"]),
        stateful_set("of-another-image", args=None),
        stateful_set("without-secret"),
    ]
    ids = [each.metadata.labels["egov/resource-id"] for each in declared]
    secrets = [secret(each) for each in ids if each != "without-secret"]
    own = [
        OwnServer(each, "postgresql", "kubernetes", "10.0.0.7", 30001)
        for each in (*ids, "elsewhere")
        if each != "somebody-elses"
    ]
    assert log_hosts(own, declared, secrets, TOLD) == {
        "runs": {
            "service_address": "10.0.0.7",
            "service_port": 30001,
            "service_ca_file": "/ca.crt",
            "service_admin_user": "postgres",
            "service_admin_password": "of-runs",
            "service_tools": "/pg15/bin",
        }
    }


def test_a_mariadb_that_runs_is_archived_by_its_own_programs_and_none_without_any() -> None:
    declared = [stateful_set("runs", args=None), stateful_set("suspended", replicas=0)]
    own = [OwnServer(x, "mariadb", "kubernetes", "10.0.0.7", 30002) for x in ("runs", "suspended")]
    secrets = [secret("runs"), secret("suspended")]
    (host,) = log_hosts(own, declared, secrets, TOLD).values()
    assert (host["service_admin_user"], host["service_tools"]) == ("egov_admin", "/maria/bin")
    assert log_hosts(own, declared, secrets, {**TOLD, "kubernetes_mariadb_log_tools": ""}) == {}
