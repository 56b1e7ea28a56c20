"""PostgreSQL servers of departments' own in the cluster, whose log is archived: pure, over what the
API server tells of them. The role `kubernetes_server` makes them."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from controlplane.access import OwnServer

RESOURCE_LABEL = "egov/resource-id"
POSTGRESQL_SERVERS = f"app.kubernetes.io/name=postgresql,{RESOURCE_LABEL}"
#: Of the inventory: the folder of `pg_receivewal`, `pg_basebackup` and `postgres` of the version of
#: the servers.
LOG_TOOLS = "kubernetes_postgresql_log_tools"
ADMINISTRATOR = "postgres"
#: Marks a server that is suspended and runs for the time of a backup only.
WOKEN = "egov/woken"
#: A server that keeps its log for us without a bound may fill its disk: it gets no slot.
BOUND = "max_slot_wal_keep_size="


def log_hosts(
    own: Collection[OwnServer],
    declared: Iterable[Any],
    secrets: Iterable[Any],
    told: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """How each of `own` is reached, by resource id, by the names that hosts of shared servers have
    it by; those that run. `declared` are StatefulSets, `told` the inventory's variables."""
    running = {_resource_of(each) for each in declared if _is_archived(each)}
    passwords = {_resource_of(each): each.data["password"] for each in secrets}
    return {
        each.resource_id: {
            "service_address": each.address,
            "service_port": each.port,
            "service_ca_file": told["kubernetes_ca_file"],
            "service_admin_user": ADMINISTRATOR,
            "service_admin_password": base64.b64decode(passwords[each.resource_id]).decode("ascii"),
            "service_tools": told[LOG_TOOLS],
        }
        for each in own
        if each.resource_id in running & passwords.keys()
    }


def _is_archived(declared: Any) -> bool:
    arguments = declared.spec.template.spec.containers[0].args or ()
    return (
        bool(declared.spec.replicas)
        and declared.metadata.deletion_timestamp is None
        and WOKEN not in (declared.metadata.annotations or {})
        and any(argument.startswith(BOUND) for argument in arguments)
    )


def _resource_of(thing: Any) -> str:
    return str(thing.metadata.labels[RESOURCE_LABEL])
