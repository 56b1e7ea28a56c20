"""What fits: pure arithmetic on capacity vectors (dimension -> whole number in its unit)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

Vector = Mapping[str, int]


class ClaimState(StrEnum):
    HELD = "held"  # 预占, from submission on
    ALLOCATED = "allocated"  # 已占, from approval on
    RELEASED = "released"


@dataclass(frozen=True)
class Bound:
    """One dimension of a pool or a quota."""

    dimension: str
    capacity: int
    held: int
    allocated: int

    @property
    def free(self) -> int:
        """May be negative where a capacity was lowered below what is used."""
        return self.capacity - self.held - self.allocated


@dataclass(frozen=True)
class Shortfall:
    dimension: str
    asked: int
    free: int
    capacity: int


def difference(before: Vector, after: Vector) -> dict[str, int]:
    """What a change asks for per dimension: negative where it gives back; zeros left out."""
    dimensions = {*before, *after}
    change = {d: after.get(d, 0) - before.get(d, 0) for d in sorted(dimensions)}
    return {d: amount for d, amount in change.items() if amount}


def shortfalls(asked: Vector, bounds: Iterable[Bound]) -> list[Shortfall]:
    """Dimensions in which `asked` does not fit.

    Only a growing dimension can be short: giving back is never refused, and a full dimension does
    not stand in the way of another. A dimension without a bound is taken as full.
    """
    by_dimension = {b.dimension: b for b in bounds}
    short = []
    for dimension, amount in sorted(asked.items()):
        bound = by_dimension.get(dimension, Bound(dimension, 0, 0, 0))
        if amount > 0 and amount > bound.free:
            short.append(Shortfall(dimension, amount, max(bound.free, 0), bound.capacity))
    return short
