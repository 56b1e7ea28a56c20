"""Figures of a benchmark: a table for people, a JSON list for machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

OUT = Path(__file__).parent / "out"


@dataclass(frozen=True)
class Figure:
    """`peer` is what the same run measured of a peer, or the bound that must be kept; lower is
    better, so `ratio` = ours / peer wants to be at most 1 (or the bound said in the figure)."""

    figure: str
    ours: float
    peer: float
    unit: str

    @property
    def ratio(self) -> float:
        return self.ours / self.peer if self.peer else float("inf")


def report(name: str, figures: list[Figure], peer: str) -> None:
    """Prints the table and writes `benchmarks/out/<name>.json`."""
    table = Table(
        "figure", "ours", peer, "ratio", "unit", box=None, title=name, title_justify="left"
    )
    for f in figures:
        table.add_row(f.figure, f"{f.ours:,.2f}", f"{f.peer:,.2f}", f"{f.ratio:.2f}", f.unit)
    Console(highlight=False, width=110).print(table)
    OUT.mkdir(exist_ok=True)
    rows = [{**asdict(f), "ratio": round(f.ratio, 4)} for f in figures]
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
