"""Rating: what held quantities cost, in integer micro-yuan, rounded once a ledger line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

#: A quoted month is 730 hours (8,760 hours a year / 12); a billed one is its real seconds.
QUOTE_HOURS = 730
#: The item of what backups take in their store; no quota and no pool bounds it.
BACKUP_STORAGE = "storage_gib.backup"


@dataclass(frozen=True)
class PriceSegment:
    """Micro-yuan per `unit_quantity` of an item and hour, on [t0, t1) epoch seconds; None: open."""

    item: str
    micro_yuan_per_hour: int
    unit_quantity: int
    t0: int
    t1: int | None


@dataclass(frozen=True)
class Usage:
    """A quantity held on [t0, t1), epoch seconds."""

    item: str
    quantity: int
    t0: int
    t1: int


@dataclass(frozen=True)
class LedgerLine:
    """What one item of one resource cost under one price: `unit_seconds` is quantity x seconds."""

    item: str
    price: PriceSegment
    unit_seconds: int
    seconds: int
    micro_yuan: int


def divide_half_up(numerator: int, denominator: int) -> int:
    """The quotient to the nearest whole number, a half away from zero (GB/T 8170)."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -magnitude if numerator < 0 else magnitude


def cost_micro_yuan(unit_seconds: int, price: PriceSegment) -> int:
    return divide_half_up(unit_seconds * price.micro_yuan_per_hour, price.unit_quantity * 3600)


def price_segments(prices: Iterable[tuple[str, int, int, int]]) -> dict[str, list[PriceSegment]]:
    """Segments by item from (item, micro_yuan_per_hour, unit_quantity, t0), each up to the next."""
    by_item: dict[str, list[tuple[str, int, int, int]]] = {}
    for price in sorted(prices, key=lambda p: (p[0], p[3])):
        by_item.setdefault(price[0], []).append(price)
    segments = {}
    for item, rows in by_item.items():
        ends: Sequence[int | None] = [*(row[3] for row in rows[1:]), None]
        segments[item] = [
            PriceSegment(item, micro, unit, t0, end)
            for (_, micro, unit, t0), end in zip(rows, ends, strict=True)
        ]
    return segments


def overlap_seconds(a0: int, a1: int, b0: int, b1: int | None) -> int:
    """Length of what two half-open intervals share; `b1` None is open."""
    end = a1 if b1 is None else min(a1, b1)
    return max(0, end - max(a0, b0))


def rate(
    usages: Iterable[Usage],
    segments: Mapping[str, Sequence[PriceSegment]],
    window: tuple[int, int],
) -> list[LedgerLine]:
    """Ledger lines of one resource within `window`: one per item and price segment.

    The exact sum of quantity x seconds is priced and rounded once; time without a price costs
    nothing and makes no line.
    """
    sums: dict[tuple[str, int], list[int]] = {}
    for usage in usages:
        start, end = max(usage.t0, window[0]), min(usage.t1, window[1])
        for place, segment in enumerate(segments.get(usage.item, ())):
            seconds = overlap_seconds(start, end, segment.t0, segment.t1)
            if seconds:
                held = sums.setdefault((usage.item, place), [0, 0])
                held[0] += usage.quantity * seconds
                held[1] += seconds
    lines = []
    for (item, place), (units, seconds) in sorted(sums.items()):
        segment = segments[item][place]
        lines.append(LedgerLine(item, segment, units, seconds, cost_micro_yuan(units, segment)))
    return lines


def quote_month(
    capacity: Mapping[str, int], segments: Mapping[str, Sequence[PriceSegment]], at: int
) -> dict[str, int]:
    """Micro-yuan per item that holding `capacity` for a month of 730 hours costs at the price of
    `at` (epoch seconds). Items without a price are left out."""
    quote = {}
    for item, quantity in capacity.items():
        for segment in segments.get(item, ()):
            if segment.t0 <= at and (segment.t1 is None or at < segment.t1):
                quote[item] = cost_micro_yuan(quantity * QUOTE_HOURS * 3600, segment)
    return quote
