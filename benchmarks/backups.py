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
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import requests
import yaml

from benchmarks.figures import Figure, report
from benchmarks.orders import benchmark_server
from lab import settings
from lab.city.server import Server
from lab.errors import LabError
from lab.progress import Progress
from lab.services import endpoints, shared

ROWS = 1_000_000
SUM = "SELECT count(*), sum(hashtextextended(household::text, 0)) FROM household"
APPLICANT, OFFICER, ENGINEER = "limin", "zhangjing", "chengang"
FORM = {"system_name": "低保核对数据库", "plan": "standard", "database_name": "dibao"}
PATIENCE_S = 300


@dataclass
class Department:
    """What its people do over the API, and what its application does with the database."""

    server: Server
    folder: Path

    def __post_init__(self) -> None:
        people = (APPLICANT, OFFICER, ENGINEER)
        self._tokens = {login: self.server.token(login) for login in people}

    def call(self, login: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        answer = requests.request(
            "GET" if body is None else "POST",
            f"{self.server.url}/api/v1{path}",
            json=body,
            headers={
                "Authorization": f"Bearer {self._tokens[login]}",
                "Idempotency-Key": uuid.uuid4().hex,
            },
            timeout=60,
        )
        if answer.status_code >= 400:
            raise LabError(f"{path}: HTTP {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def order(self, **form: Any) -> tuple[str, float]:
        """A delivered database's id, and the seconds from the last approval on."""
        body = {"service": "postgresql", "zone": "internet", "form": {**FORM, **form}}
        made = self.call(APPLICANT, "/requests", body)
        step = made["steps"][0]["id"]
        started_s = time.monotonic()
        decision = {"step_id": step, "decision": "agree", "opinion": "同意"}
        self.call(OFFICER, f"/requests/{made['id']}/decisions", decision)
        done = self.wait(
            lambda: self.call(APPLICANT, f"/requests/{made['id']}"),
            lambda request: request["state"] != "delivering",
        )
        if done["state"] != "fulfilled":
            raise LabError(f"the order ended {done['state']}: {done['reason']}")
        return str(done["resource_id"]), time.monotonic() - started_s

    def do(self, login: str, resource_id: str, what: str, body: Mapping[str, Any]) -> float:
        """Seconds from the press of a button to the good end of the resource's newest job."""
        path, started_s = f"/resources/{resource_id}", time.monotonic()
        self.call(login, f"{path}/{what}", body)
        job = self.wait(
            lambda: self.call(APPLICANT, path)["jobs"][0],
            lambda job: job["state"] not in ("queued", "running"),
        )
        if job["state"] != "succeeded":
            raise LabError(f"{what} ended {job['state']}: {job['error']}")
        return time.monotonic() - started_s

    def uri(self, resource_id: str) -> str:
        shown = self.call(APPLICANT, f"/resources/{resource_id}/connection", {"reason": "测量"})
        texts = {snippet["code"]: snippet["text"] for snippet in shown["snippets"]}
        ca = self.folder / "ca.pem"
        ca.write_text(texts["ca"] + "\n")
        return str(texts["uri"]).replace("sslrootcert=ca.pem", f"sslrootcert={ca}")

    @staticmethod
    def wait(look: Callable[[], Any], is_over: Callable[[Any], bool]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not is_over(seen := look()):
            if time.monotonic() > deadline:
                raise LabError(f"not within {PATIENCE_S} s: {seen}")
            time.sleep(0.1)
        return seen


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
    source, _ = department.order()
    address = department.uri(source)
    fill(address)
    before = rows_of(address)
    empty, _ = department.order(system_name="对照")
    bare_dump_s, bare_restore_s = bare(tools, address, department.uri(empty), department.folder)
    backup_s = department.do(APPLICANT, source, "backups", {})
    backup = department.call(APPLICANT, f"/resources/{source}/backups")["items"][0]
    with psycopg.connect(address) as connection:
        connection.execute("DROP TABLE household")
    fresh, restore_s = department.order(restore_from=backup["number"])
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
                _destroy_all(department)
                server.stop()
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report("backups", figures, "pg_dump/restore")
    return 0


def _destroy_all(department: Department) -> None:
    """Nothing of it stays on the server; their last backups go with the folder."""
    for row in department.call(ENGINEER, "/resources")["items"]:
        path = f"/resources/{row['id']}"
        department.call(ENGINEER, f"{path}/destruction", {"name": row["name"]})
    department.wait(
        lambda: department.call(ENGINEER, "/resources")["items"], lambda items: not items
    )


if __name__ == "__main__":
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    sys.exit(main())
