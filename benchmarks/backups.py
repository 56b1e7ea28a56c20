"""`make bench-backups`: a million rows backed up, lost, restored, exchanged, drilled.

The whole way over HTTP on the lab's shared PostgreSQL, beside PostgreSQL's own `pg_dump` and
`pg_restore` of the same database without encryption, manifest or comparison. Every row must be
back, by checksum, or the benchmark fails. Prints recovery time and recovery point.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import yaml

from benchmarks.department import APPLICANT, ENGINEER, Department
from benchmarks.figures import Figure, report
from benchmarks.orders import benchmark_server
from lab import settings
from lab.errors import LabError
from lab.progress import Progress
from lab.services import endpoints, shared

ROWS = 1_000_000
SUM = "SELECT count(*), sum(hashtextextended(household::text, 0)) FROM household"
FORM = {"system_name": "低保核对数据库", "plan": "standard", "database_name": "dibao"}


def rows_of(uri: str) -> Any:
    with psycopg.connect(uri) as connection:
        return connection.execute(SUM).fetchone()


def fill(uri: str) -> None:
    with psycopg.connect(uri) as connection:
        connection.execute(
            "CREATE TABLE household AS SELECT n AS id, md5(n::text) AS name, n %% 97 AS district, "
            "(n::bigint * 7919 %% 100000) / 100.0 AS allowance, now() AS at "
            "FROM generate_series(1, %s) n",
            [ROWS],
        )
        connection.execute("ALTER TABLE household ADD PRIMARY KEY (id)")


def bare(tools: Path, source: str, target: str, folder: Path) -> tuple[float, float]:
    """Seconds that PostgreSQL's own programs take to dump and to restore the same rows."""
    dump = folder / "bare.dump"
    started_s = time.monotonic()
    subprocess.run([tools / "pg_dump", "-Fc", "-f", dump, source], check=True)
    dumped_s = time.monotonic()
    restore = [tools / "pg_restore", "--no-owner", "--no-privileges", "-d", target, dump]
    subprocess.run(restore, check=True)
    return dumped_s - started_s, time.monotonic() - dumped_s


def measure(department: Department, tools: Path) -> list[Figure]:
    source, _ = department.order("postgresql", FORM)
    address = department.uri(source)
    fill(address)
    before = rows_of(address)
    empty, _ = department.order("postgresql", {**FORM, "system_name": "对照"})
    bare_dump_s, bare_restore_s = bare(tools, address, department.uri(empty), department.folder)
    backup_s = department.do(APPLICANT, source, "backups", {})
    backup = department.call(APPLICANT, f"/resources/{source}/backups")["items"][0]
    with psycopg.connect(address) as connection:
        connection.execute("DROP TABLE household")
    fresh, restore_s = department.order("postgresql", {**FORM, "restore_from": backup["number"]})
    body = {"other_id": fresh, "name": FORM["system_name"]}
    exchange_s = department.do(APPLICANT, source, "exchange", body)
    after = rows_of(address)
    if after != before:
        raise LabError(f"rows came back as {after}, not {before}")
    department.do(APPLICANT, source, "backups", {})
    department.do(ENGINEER, source, "drills", {})
    drill = department.call(APPLICANT, f"/resources/{source}/drills")["items"][0]
    if drill["result"] != "passed":
        raise LabError(f"the drill did not pass: {drill['difference']}")
    print(f"{ROWS:,} rows back under the old connection string, checksum {after[1]}")
    print(f"exchange of the two instances: {exchange_s:.1f} s")
    print(f"archive {backup['size_bytes'] / 2**20:.1f} MiB, encrypted")
    print(
        f"drill: {drill['rows_compared']:,} rows compared, recovery time "
        f"{drill['recovery_time_seconds']} s, recovery point {drill['recovery_point_seconds']} s"
    )
    return [
        Figure("backup now, with manifest", backup_s, bare_dump_s, "s"),
        Figure("restore to a new instance, approval to delivered", restore_s, bare_restore_s, "s"),
        Figure("drill: recovery time", drill["recovery_time_seconds"], bare_restore_s, "s"),
    ]


def main() -> int:
    try:
        configured = settings.load()
        shared.start(shared.chosen(["postgresql"]), configured, Progress())
        inventory = endpoints.write_inventory(configured)
        found = next(e for e in endpoints.endpoints(configured) if e.engine == "postgresql")
        with tempfile.TemporaryDirectory(prefix="bench-backups-") as name:
            folder = Path(name)
            clouds = folder / "clouds.yaml"
            clouds.write_text(yaml.safe_dump({"clouds": {}}))
            server = replace(
                benchmark_server(folder / "var", str(clouds), False),
                shared_inventory=str(inventory),
            )
            server.set_up()
            server.start()
            department = Department(server, folder)
            try:
                figures = measure(department, Path(found.tools))
            finally:
                department.destroy_all()
                server.stop()
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report("backups", figures, "pg_dump/restore")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    sys.exit(main())
