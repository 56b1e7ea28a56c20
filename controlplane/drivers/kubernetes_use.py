"""What pods and their volumes use, as their kubelets tell it: pure, over the answers of
`stats/summary`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from controlplane.readings import DiskReading, UseReading

MIB = 2**20
NANO_IN_MILLI = 10**6
#: A volume whose file system has much more than was claimed is a folder among others.
OWN_TIMES = 2

#: (resource id, bytes claimed) by namespace and claim.
Claims = Mapping[tuple[str, str], tuple[str, int]]


def readings_of(
    summaries: Iterable[Mapping[str, Any]],
    by_pod: Mapping[tuple[str, str], str],
    by_namespace: Mapping[str, str],
) -> dict[str, UseReading]:
    """By resource id. `by_pod` is resource ids by namespace and pod, `by_namespace` those whose
    whole namespace is theirs; a pod of a resource's own belongs to it and not to the namespace."""
    used: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for summary in summaries:
        for pod in summary.get("pods") or ():
            reference = pod["podRef"]
            namespace = reference["namespace"]
            resource_id = by_pod.get((namespace, reference["name"])) or by_namespace.get(namespace)
            if resource_id is None:
                continue
            used[resource_id][0] += (pod.get("cpu") or {}).get("usageNanoCores") or 0
            used[resource_id][1] += (pod.get("memory") or {}).get("workingSetBytes") or 0
    return {
        resource_id: UseReading(math.ceil(nano / NANO_IN_MILLI), math.ceil(size / MIB))
        for resource_id, (nano, size) in used.items()
    }


def disk_readings_of(
    summaries: Iterable[Mapping[str, Any]], claims: Claims
) -> dict[str, DiskReading]:
    """By resource id, of volumes that have a file system of their own: what is not free is used."""
    found: dict[str, DiskReading] = {}
    for summary in summaries:
        for volume in (v for pod in summary.get("pods") or () for v in pod.get("volume") or ()):
            reference = volume.get("pvcRef") or {}
            claim = claims.get((str(reference.get("namespace")), str(reference.get("name"))))
            size = volume.get("capacityBytes") or 0
            if claim is None or not 0 < size <= claim[1] * OWN_TIMES:
                continue
            found[claim[0]] = DiskReading(size - int(volume["availableBytes"]), False, size)
    return found
