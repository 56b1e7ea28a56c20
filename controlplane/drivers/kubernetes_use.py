"""What pods use, as their kubelets tell it: pure, over the answers of `stats/summary`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from controlplane.readings import UseReading

MIB = 2**20
NANO_IN_MILLI = 10**6


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
