"""`make bench-pages`: every page that a role may open, on a city with 5,000 resources.

Each page is fetched over real HTTP from the server that production runs (waitress, its worker off),
five times after one warming fetch; the figure is the median, the bound is 300 ms.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import waitress

from benchmarks.figures import Figure, report
from benchmarks.seeding import seeded_city
from controlplane.app import create_app
from controlplane.clock import utc_now
from lab.city.story import people
from lab.city.visitor import Visitor

RESOURCES = 5000
BOUND_MS = 300.0
FETCHES = 5

#: login -> the pages that this person opens
PAGES = {
    "limin": (
        "/",
        "/catalogue",
        "/catalogue/vm/apply",
        "/requests",
        "/requests/5",
        "/resources",
        "/resources?q=业务系统-0004",
        "/quotas",
        "/months",
    ),
    "zhangjing": ("/", "/approvals/to-do", "/approvals/done", "/pools"),
    "chengang": ("/", "/resources", "/jobs", "/jobs/5", "/pools", "/quotas", "/requests"),
    "sunli": ("/", "/months", "/prices", "/pools"),
    "zhouwei": ("/", "/requests", "/audit"),
    "admin": ("/departments", "/people", "/audit"),
}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        control_plane = seeded_city(Path(folder), RESOURCES, utc_now())
        app = create_app(control_plane)
        server = waitress.create_server(app, host="127.0.0.1", port=0, threads=4)
        threading.Thread(target=server.run, daemon=True).start()
        url = f"http://127.0.0.1:{server.effective_port}"
        figures = [
            Figure(f"{login} {path}", _median_ms(visitor, path), BOUND_MS, "ms")
            for login, paths in PAGES.items()
            for visitor in [_signed_in(url, login)]
            for path in paths
        ]
    report("pages", figures, "bound")
    slow = [f.figure for f in figures if f.ratio > 1]
    if slow:
        print("over the bound: " + ", ".join(slow), file=sys.stderr)
    return 1 if slow else 0


def _signed_in(url: str, login: str) -> Visitor:
    visitor = Visitor(url)
    visitor.sign_in(login, people()[login].password)
    return visitor


def _median_ms(visitor: Visitor, path: str) -> float:
    visitor.open(path)
    times = []
    for _ in range(FETCHES):
        started_s = time.perf_counter()
        visitor.open(path)
        times.append((time.perf_counter() - started_s) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
