"""The delivered machines as an Ansible inventory: grouped by department, zone, pool, service."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState
from controlplane.text import as_ansible_data


def ansible_inventory(session: Session) -> dict[str, Any]:
    """JSON of a dynamic inventory, with every host's variables under `_meta`."""
    groups: dict[str, dict[str, list[str]]] = {}
    hostvars: dict[str, dict[str, Any]] = {}
    rows = session.scalars(
        sa.select(Resource)
        .where(Resource.state.in_((ResourceState.ACTIVE, ResourceState.STOPPED)))
        .order_by(Resource.number)
    )
    for resource in rows:
        addresses = resource.outputs.get("addresses") or {}
        address = addresses.get("floating") or addresses.get("fixed")
        if not address:
            continue
        hostvars[resource.number] = {
            "ansible_host": address,
            "egov_resource_id": resource.id,
            "egov_name": as_ansible_data(resource.name),
            "egov_department": resource.department.code,
            "egov_state": resource.state,
        }
        for group in (
            f"department_{resource.department.code}",
            f"zone_{resource.zone}",
            f"pool_{resource.pool_code}",
            f"service_{resource.service}",
        ):
            name = re.sub(r"[^a-zA-Z0-9_]", "_", group)
            groups.setdefault(name, {"hosts": []})["hosts"].append(resource.number)
    return {**groups, "_meta": {"hostvars": hostvars}}
