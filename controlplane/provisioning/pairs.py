"""A machine and what was ordered to run on it: two resources of one order, built and ended as one.

The machine comes first and goes last. It is delivered, and metered, only with what runs on it: a
department pays for no machine of a database that never came.
"""

from __future__ import annotations

import uuid
from enum import StrEnum

from controlplane.provisioning.rules import JobState

#: In the spec of what runs on a machine of its own: which one.
MACHINE = "machine"
_NAMESPACE = uuid.UUID("5d9d2f5e-6a53-4f0c-9d1b-7f1f6a9c0f3a")


class Part(StrEnum):
    ALONE = "alone"
    MACHINE = "machine"
    TENANT = "tenant"


class Next(StrEnum):
    """What follows in the transaction that ends a job, beside what follows for any resource."""

    NOTHING = "nothing"
    BUILD_TENANT = "build_tenant"
    DELIVER_BOTH = "deliver_both"
    #: Neither comes about; what there may be of the machine is cleaned up.
    GIVE_UP_BOTH = "give_up_both"
    DESTROY_MACHINE = "destroy_machine"


_FOLLOWS = {
    (Part.MACHINE, "create", True): Next.BUILD_TENANT,
    (Part.MACHINE, "create", False): Next.GIVE_UP_BOTH,
    (Part.TENANT, "create", True): Next.DELIVER_BOTH,
    (Part.TENANT, "create", False): Next.GIVE_UP_BOTH,
    (Part.TENANT, "retire", True): Next.DESTROY_MACHINE,
}


def follows(part: Part, kind: str, state: JobState) -> Next:
    """What the end of a job of the action kind `kind` means for the other of the two."""
    return _FOLLOWS.get((part, kind, state == JobState.SUCCEEDED), Next.NOTHING)


def machine_id_of(resource_id: str) -> str:
    """The id of a resource's own machine: known before there is one, and always the same."""
    return str(uuid.uuid5(_NAMESPACE, resource_id))
