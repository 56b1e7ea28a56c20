"""Rating: what held quantities cost, in integer micro-yuan, rounded once a ledger line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

#: A quoted month is 730 hours (8,760 hours a year / 12); a billed one is its real seconds.
QUOTE_HOURS = 730


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


def round_half_up(value: Fraction) -> int:
    """To the nearest whole number, a half away from zero (GB/T 8170 as finance applies it)."""
    sign = -1 if value < 0 else 1
    magnitude = abs(value)
    return sign * ((2 * magnitude.numerator + magnitude.denominator) // (2 * magnitude.denominator))


def cost_micro_yuan(unit_seconds: int, price: PriceSegment) -> int:
    return round_half_up(
        Fraction(unit_seconds * price.micro_yuan_per_hour, price.unit_quantity * 3600)
    )


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
    sums: dict[PriceSegment, tuple[int, int]] = {}
    for usage in usages:
        start, end = max(usage.t0, window[0]), min(usage.t1, window[1])
        for segment in segments.get(usage.item, ()):
            seconds = overlap_seconds(start, end, segment.t0, segment.t1)
            if seconds:
                units, total = sums.get(segment, (0, 0))
                sums[segment] = (units + usage.quantity * seconds, total + seconds)
    return [
        LedgerLine(segment.item, segment, units, seconds, cost_micro_yuan(units, segment))
        for segment, (units, seconds) in sorted(sums.items(), key=lambda s: (s[0].item, s[0].t0))
    ]


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
