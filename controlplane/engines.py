"""The engines on which services stand, and what the stages need to know of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPENSTACK = "openstack"
KUBERNETES = "kubernetes"
#: The platform's own shared servers.
SHARED = "shared"
#: Swift: of the same cloud as the servers and volumes, where it has one.
OBJECT_STORAGE = "object_storage"
#: The city's own certificate authority.
AUTHORITY = "authority"
#: A machine of its own, which is a resource of its own: what it holds is held by the machine.
MACHINE = "machine"
ENGINES = (OPENSTACK, KUBERNETES, SHARED, OBJECT_STORAGE, AUTHORITY, MACHINE)

#: A department has a place of its own there, which is set up first and whose quota is kept in step.
ONBOARDED = (OPENSTACK, KUBERNETES)
#: Their clouds tell how much they have.
MEASURED = (OPENSTACK, KUBERNETES)
#: What is stored lies in volumes, which grow and never shrink.
WITH_VOLUMES = (OPENSTACK, KUBERNETES)


def engine_of_site(engine: str) -> str:
    """The engine of the place that a department has on a pool's cloud: object storage lies in the
    same project as everything else on OpenStack."""
    return OPENSTACK if engine in (OBJECT_STORAGE, MACHINE) else engine


def engine_of_pool(engine: str) -> str:
    """The engine of the pools that something takes its capacity from."""
    return OPENSTACK if engine == MACHINE else engine


def engine_of_plan(plan: Mapping[str, Any] | None, default: str) -> str:
    """Where a plan stands: the engine it names, or its service's own."""
    return str((plan or {}).get("engine", default))
