"""Servers of departments' own in the cluster, whose log is archived: pure, over what the API server
tells of them. The role `kubernetes_server` makes them."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from controlplane.access import OwnServer
from controlplane.drivers.server_logs import ADMINISTRATORS, LOGS

RESOURCE_LABEL = "egov/resource-id"
LOGGED_SERVERS = f"app.kubernetes.io/name in ({','.join(LOGS)}),{RESOURCE_LABEL}"
#: Marks a server that is suspended and runs for the time of a backup only.
WOKEN = "egov/woken"
#: A PostgreSQL that keeps its log for us without a bound may fill its disk: it gets no slot. What a
#: MariaDB is set to, it says itself.
BOUND = "max_slot_wal_keep_size="


def log_tools_of(told: Mapping[str, Any]) -> dict[str, str]:
    """By service, the folder of the programs that archive its log, of the servers' own version, as
    the inventory's variables have it."""
    names = {service: f"kubernetes_{service}_log_tools" for service in LOGS}
    return {service: str(told[name]) for service, name in names.items() if told.get(name)}


def log_hosts(
    own: Collection[OwnServer],
    declared: Iterable[Any],
    secrets: Iterable[Any],
    told: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """How each of `own` is reached, by resource id, by the names that hosts of shared servers have
    it by; those that run. `declared` are StatefulSets, `told` the inventory's variables."""
    bounded = {_resource_of(each) for each in declared if _runs(each) and _is_bounded(each)}
    running = {_resource_of(each) for each in declared if _runs(each)}
    passwords = {_resource_of(each): each.data["password"] for each in secrets}
    tools = log_tools_of(told)
    return {
        each.resource_id: {
            "service_address": each.address,
            "service_port": each.port,
            "service_ca_file": told["kubernetes_ca_file"],
            "service_admin_user": ADMINISTRATORS[each.service],
            "service_admin_password": base64.b64decode(passwords[each.resource_id]).decode("ascii"),
            "service_tools": tools[each.service],
        }
        for each in own
        if each.service in tools
        and each.resource_id in passwords
        and each.resource_id in (bounded if each.service == "postgresql" else running)
    }


def _runs(declared: Any) -> bool:
    return (
        bool(declared.spec.replicas)
        and declared.metadata.deletion_timestamp is None
        and WOKEN not in (declared.metadata.annotations or {})
    )


def _is_bounded(declared: Any) -> bool:
    arguments = declared.spec.template.spec.containers[0].args or ()
    return any(argument.startswith(BOUND) for argument in arguments)


def _resource_of(thing: Any) -> str:
    return str(thing.metadata.labels[RESOURCE_LABEL])
