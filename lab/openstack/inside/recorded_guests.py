"""nova driver of the data plane `none`: servers are recorded, no machine runs.

Derived from nova's own fake driver, with what that one lacks to stand in for a hypervisor that is
restarted: a stable identity, a size per host, guests that are still there afterwards.
"""

# ruff: noqa: ARG002  # nova calls these by its own signatures

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import Any

from nova import context as nova_context
from nova import objects
from nova.conf import CONF
from nova.image import glance
from nova.virt import fake

from lab.openstack.inside import facts

NODES = uuid.UUID("6f2f2b6e-0a63-4d0c-9d53-6a2a0f0a6c11")


class RecordedGuests(fake.FakeDriver):  # type: ignore[misc]  # nova has no types
    """One of these serves each pool's compute host; which one, it learns in init_host."""

    def init_host(self, host: str) -> None:
        """Takes the size of the pool behind `host` and reloads its guests from nova's records."""
        super().init_host(host)
        known = facts.read(Path(CONF.config_file[0]).parent.parent)
        pool = next(p for p in known.pools if p.compute_host == host)
        self.vcpus, self.memory_mb, self.local_gb = pool.vcpu, pool.memory_mib, pool.storage_gib
        self.resources = fake.Resources(self.vcpus, self.memory_mb, self.local_gb)
        for instance in objects.InstanceList.get_by_host(nova_context.get_admin_context(), host):
            flavor = instance.flavor
            self.resources.claim(flavor.vcpus, flavor.memory_mb, flavor.root_gb)
            self.instances[instance.uuid] = fake.FakeInstance(
                instance.name, instance.power_state, instance.uuid
            )

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        """With a node id that is the same after a restart; the fake driver draws a new one."""
        return {**super().get_available_resource(nodename), "uuid": node_id(nodename)}

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:
        return {node_id(name): name for name in self.get_available_nodes(refresh)}

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        """Also an interface attached before the restart."""
        self._interfaces.pop(vif["id"], None)

    def get_console_output(self, context: Any, instance: Any) -> str:
        return "No machine runs behind this server: the lab's data plane is `none`.\n"

    def snapshot(self, context: Any, instance: Any, image_id: str, update_task_state: Any) -> None:
        """Uploads a few bytes: the fake driver uploads none, and the image would stay queued."""
        super().snapshot(context, instance, image_id, update_task_state)
        glance.API().update(
            context,
            image_id,
            {"disk_format": "raw", "container_format": "bare"},
            data=io.BytesIO(f"recorded snapshot of {instance.uuid}".encode()),
            purge_props=False,
        )


def node_id(name: str) -> str:
    """The id of a compute node, the same in every run."""
    return str(uuid.uuid5(NODES, name))
