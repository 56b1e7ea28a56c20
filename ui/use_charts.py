"""What a resource used of what it held, hour by hour, and beside a month's ledger lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask_babel import gettext

from controlplane.metering.rules import LedgerLine
from controlplane.reports.utilisation import CPU, MEMORY, HourUse, Used
from ui import filters
from ui.preferences import current_language
from ui.presentation import dimension_name

MILLI = 1000


def use_chart(hours: Sequence[HourUse]) -> dict[str, Any] | None:
    """For charts.js: mean use of each hour in percent of what was held then. None where nobody
    told."""
    if not hours:
        return None
    return {
        "kind": "lines",
        "unit": "%",
        "labels": [filters.local(one.hour).strftime("%H:%M") for one in hours],
        "series": [
            _line(hours, CPU, lambda one: one.vcpu_held * MILLI),
            _line(hours, MEMORY, lambda one: one.memory_mib_held),
        ],
        "limits": [{"name": gettext("占用量"), "value": 100, "tone": "warn"}],
        "top": 100,
        "dots": True,
    }


def _line(hours: Sequence[HourUse], item: str, held_of: Callable[[HourUse], int]) -> dict[str, Any]:
    values: list[float | None] = []
    shown: list[str] = []
    for one in hours:
        told, held = one.used.of_item(item) if one.used else None, held_of(one)
        if told is None:
            values.append(None)
            shown.append("—")
            continue
        mean, peak = told
        values.append(round(100 * mean / held, 2) if held else None)
        share = f"（{filters.percent(mean, held, 1)}）" if held else ""
        shown.append(
            gettext(
                "%(mean)s%(share)s，峰值 %(peak)s",
                mean=used_amount(item, mean),
                share=share,
                peak=used_amount(item, peak),
            )
        )
    return {"name": dimension_name(item), "values": values, "shown": shown}


def used_amount(item: str, value: int) -> str:
    """`0.12 核`, `214 MiB`: finer than what is held, for it is often far less."""
    if item == CPU:
        return f"{value / MILLI:.2f} {'cores' if current_language() == 'en' else '核'}"
    return f"{value:,} MiB"


def month_shares(used: Used | None, lines: Iterable[LedgerLine]) -> list[tuple[str, str]]:
    """(item, mean use in percent of the mean held) of a month; empty where nobody told."""
    shares = []
    for item in (CPU, MEMORY):
        mine = [line for line in lines if line.item == item]
        told, seconds = used.of_item(item) if used else None, sum(line.seconds for line in mine)
        if told is None or not seconds:
            continue
        held = sum(line.unit_seconds for line in mine) / seconds
        shares.append((item, filters.percent(told[0], held * (MILLI if item == CPU else 1), 1)))
    return shares
