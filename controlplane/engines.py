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
ENGINES = (OPENSTACK, KUBERNETES, SHARED, OBJECT_STORAGE, AUTHORITY)

#: A department has a place of its own there, which is set up first and whose quota is kept in step.
ONBOARDED = (OPENSTACK, KUBERNETES)
#: Their clouds tell how much they have.
MEASURED = (OPENSTACK, KUBERNETES)
#: What is stored lies in volumes, which grow and never shrink.
WITH_VOLUMES = (OPENSTACK, KUBERNETES)


def engine_of_site(engine: str) -> str:
    """The engine of the place that a department has on a pool's cloud: object storage lies in the
    same project as everything else on OpenStack."""
    return OPENSTACK if engine == OBJECT_STORAGE else engine


def engine_of_plan(plan: Mapping[str, Any] | None, default: str) -> str:
    """Where a plan stands: the engine it names, or its service's own."""
    return str((plan or {}).get("engine", default))
