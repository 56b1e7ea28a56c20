"""`make bench-machines`: a PostgreSQL on a machine of its own, from the last approval to the first
query, beside what an engineer does by hand: boot the same machine, reach it over SSH, run the same
play. On a copy of the lab with real machines, which takes root.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from benchmarks.figures import Figure, report
from tests.integration.live_city import LiveCity
from tests.lab import by_hand, dedicated
from tests.lab.cloud import Department

TIMES = 3
BOUND = 1.3


def ordered(city: LiveCity, folder: Path) -> float:
    """Seconds from the last approval to the first answer; gone again when it returns."""
    request_id = dedicated.order(city, "postgresql")
    started_s = time.monotonic()
    resource_id = city.fulfilled(request_id)
    texts = dedicated.shown(city, resource_id)
    ca = folder / "ca.pem"
    ca.write_text(texts["ca"])
    address = texts["uri"].replace("sslrootcert=ca.pem", f"sslrootcert={ca}")
    with psycopg.connect(address, connect_timeout=20) as connection:
        connection.execute("SELECT 1")
    took_s = time.monotonic() - started_s
    city.control_plane.operations.retire_now(
        city.person("chengang"), resource_id, city.resource(resource_id).name
    )
    city.worker.wake()
    city.idle()
    return took_s


def done_by_hand(place: Department, city: LiveCity, folder: Path) -> float:
    done = dedicated.done_by_hand(place, city, "postgresql", folder)
    print(f"by hand: {done.took_s:.1f} s, {done.booted_s:.1f} s of it until SSH")
    done.end()
    return done.took_s


def main() -> int:
    ours, peer = [], []
    with tempfile.TemporaryDirectory(prefix="bench-machines-") as name:
        folder = Path(name)
        (folder / "city").mkdir()
        with (
            dedicated.started(folder / "lab") as lab,
            dedicated.governed(lab, folder / "city") as city,
        ):
            city.fulfilled(city.order_volume(size_gib=1))  # the department is set up
            place = by_hand.department(lab)
            for turn in range(TIMES):
                ours.append(ordered(city, folder))
                peer.append(done_by_hand(place, city, folder / f"by-hand-{turn}"))
    said = f"approval to first query, median of {TIMES} (at most {BOUND} times)"
    figure = Figure(said, statistics.median(ours), statistics.median(peer), "s")
    report("machines", [figure], "by hand")
    return 0 if figure.ratio <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
