"""Charts of what was held day by day, as shares of what bounds it: one line a dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext

from controlplane.reports.history import HeldSeries, History
from ui import filters
from ui.preferences import current_language
from ui.presentation import by_dimension, dimension_name


def held_chart(
    history: History, place: str, full: str, warning_percent: int | None = None
) -> dict[str, Any] | None:
    """For charts.js: what `place` (a pool's code or a zone) held, in percent of its bounds, and the
    amounts in words; a dimension of which nothing was held has no line. `full` names the line at
    100 %. None where nothing was held."""
    series = [s for s in by_dimension(history.series.get(place, ())) if any(s.amounts)]
    if not series:
        return None
    limits = [{"name": full, "value": 100, "tone": "bad"}]
    if warning_percent is not None:
        name = gettext("预警线 %(share)s", share=filters.percent(warning_percent, 100))
        limits.insert(0, {"name": name, "value": warning_percent, "tone": "warn"})
    return {
        "kind": "lines",
        "unit": "%",
        "labels": [filters.local(at).strftime("%m-%d") for at in history.instants],
        "series": [_line(one) for one in series],
        "limits": limits,
        "top": 100,
    }


#: The order of zones in the top bar.
ZONE_ORDER = ("internet", "office", "classified")


@dataclass(frozen=True)
class ZoneChart:
    """What a department held in a zone beside its quota; `chart` None: nothing at all."""

    zone: str
    chart: dict[str, Any] | None


def zone_charts(history: History) -> list[ZoneChart]:
    """A chart for each zone in which the department held something or has a quota."""
    zones = sorted(history.series, key=lambda z: (*ZONE_ORDER, z).index(z))
    return [ZoneChart(zone, held_chart(history, zone, gettext("配额线"))) for zone in zones]


def _line(series: HeldSeries) -> dict[str, Any]:
    """`values` for the eye, `shown` for hover and table; without a bound there is no share."""
    bound, dimension = series.bound, series.dimension
    return {
        "name": dimension_name(dimension),
        "values": [round(100 * held / bound, 2) if bound else None for held in series.amounts],
        "shown": _in_words(series),
        "of": _amount(bound, dimension) if bound is not None else gettext("未声明"),
    }


def _in_words(series: HeldSeries) -> Sequence[str]:
    """`42 核 · 5.3 %` of each day."""
    words = []
    for held in series.amounts:
        share = f" · {filters.percent(held, series.bound, 1)}" if series.bound else ""
        words.append(f"{_amount(held, series.dimension)}{share}")
    return words


def _amount(value: int, dimension: str) -> str:
    return filters.amount(value, dimension, current_language())
