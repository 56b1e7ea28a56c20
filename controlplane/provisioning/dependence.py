"""What one resource standing on another forbids: the one below stays, and stays large enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controlplane.errors import Fault
from controlplane.provisioning.rules import STANDABLE, ResourceState

#: How many names a sentence says; of more it says how many there are.
NAMES_SHOWN = 5

#: States from which a resource does not come back to carry another one.
LEAVING = (
    ResourceState.RETIRING,
    ResourceState.DESTROYING,
    ResourceState.RETIRED,
    ResourceState.FAILED,
)


@dataclass(frozen=True)
class Standing:
    """A resource that stands on another. `needs`: what the one below must have for it at least, by
    dimension of capacity."""

    name: str
    number: str
    needs: Mapping[str, int] = field(default_factory=dict)


def stays_faults(standing: Sequence[Standing]) -> list[Fault]:
    """Why a resource may not be retired, nor moved to stand elsewhere."""
    return [Fault("has_dependents", "", {"names": names_of(standing)})] if standing else []


def need_faults(
    standing: Sequence[Standing],
    before: Mapping[str, int],
    after: Mapping[str, int],
    at: str = "",
) -> list[Fault]:
    """Why a resource may not come down from `before` to `after`: those on it together need more.

    What does not shrink is never at fault, even where it is too small already: growing it is the
    way out. `at` is the field that the faults are shown beside.
    """
    faults = []
    for dimension in sorted({d for one in standing for d in one.needs}):
        in_need = [one for one in standing if one.needs.get(dimension)]
        need = sum(one.needs[dimension] for one in in_need)
        left = after.get(dimension, 0)
        if left < need and left < before.get(dimension, 0):
            params = {
                "names": names_of(in_need),
                "dimension": dimension,
                "need": need,
                "left": left,
            }
            faults.append(Fault("dependents_need", at, params))
    return faults


def base_faults(
    name: str,
    state: str,
    capacity: Mapping[str, int],
    needs: Mapping[str, int],
    at: str = "",
) -> list[Fault]:
    """Why nothing may begin to stand on a resource: it is not there to stay, or is too small."""
    if state in LEAVING:
        return [Fault("base_leaving", at, {"name": name})]
    if state not in STANDABLE:
        return [Fault("base_not_ready", at, {"name": name})]
    return [
        Fault(
            "base_too_small",
            at,
            {"name": name, "dimension": d, "need": need, "left": capacity.get(d, 0)},
        )
        for d, need in sorted(needs.items())
        if capacity.get(d, 0) < need
    ]


def names_of(standing: Iterable[Standing]) -> str:
    everyone = list(standing)
    said = "、".join(f"{one.name}（{one.number}）" for one in everyone[:NAMES_SHOWN])
    return said if len(everyone) <= NAMES_SHOWN else f"{said}…（{len(everyone)}）"
