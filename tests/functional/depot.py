"""Backups without a server: what a worker would do, its playbooks stood in for at the contract."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from controlplane.app import ControlPlane
from controlplane.backups.models import Backup, RestoreDrill
from controlplane.config import CHECKOUT
from controlplane.delivery import Run
from controlplane.pipeline import Ask
from controlplane.provisioning.models import Job, Resource
from controlplane.reports import requests as request_reports
from tests.factories import City, open_city

SERVICES = CHECKOUT / "playbooks" / "services"
CONTENT = b"age-encryption.org/v1 rows"
MANIFEST = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "rows": 3, "tables": {}, "objects": {}}


def written(run: Run, now: datetime) -> dict[str, Any]:
    """An archive in the place that the run names, and what is reported of it."""
    path = Path(run.extravars["archive"]["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    told = {"taken_at": now.isoformat(), "size_bytes": len(CONTENT), "manifest": MANIFEST}
    return {"backup": told}


@dataclass
class Depot:
    """A city that orders databases; `runs` are those carried out, in their order."""

    city: City
    runs: list[Run] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def control_plane(self) -> ControlPlane:
        return self.city.control_plane

    def database(self, login: str = "limin", service: str = "postgresql", **form: Any) -> str:
        """The id of a delivered database."""
        asked = {"system_name": "低保", "plan": "small", "database_name": "dibao", **form}
        pipeline = self.control_plane.pipeline
        request_id = pipeline.submit_request(
            self.city.person(login), Ask(service, "provision", "internet", asked)
        )
        self.city.decide("zhangjing", request_id)
        self.carry_out()
        with self.control_plane.db.read() as session:
            request = request_reports.find_request(session, self.city.person(login), request_id)
            assert request.state == "fulfilled"
            assert request.resource_id is not None
            return request.resource_id

    def runs_waiting(self) -> Iterator[Run]:
        while (run := self.control_plane.delivery.claim("test:1")) is not None:
            self.runs.append(run)
            yield run

    def carry_out(self) -> list[str]:
        """Every waiting job to its good end; names their actions."""
        done = []
        for run in self.runs_waiting():
            if run.refusal is not None:
                self.control_plane.delivery.fail(run, run.refusal.reason, final=True)
            else:
                self.control_plane.delivery.complete(run, self.outputs(run))
                done.append(run.action)
        return done

    def fail_all(self, error: str) -> None:
        for run in self.runs_waiting():
            self.control_plane.delivery.fail(run, error, final=True)

    def outputs(self, run: Run) -> dict[str, Any]:
        """What the playbook of a run does and reports."""
        if run.action == "backup":
            return written(run, self.city.clock())
        if run.action == "drill":
            told = {"rows": 3, "recovery_time_seconds": 1.5, "differences": self.differences}
            return {"drill": told}
        if run.action in ("add_account", "account_password", "remove_account"):
            return {"accounts": self.accounts_after(run)}
        if run.action in ("set_parameters", "set_statement_limit"):
            return {"parameters": run.extravars["inputs"]}
        return {
            "address": "127.0.0.1",
            "port": 5432,
            "database": "dibao",
            "username": "dibao_a",
            "ca_certificate": "-----BEGIN CERTIFICATE-----",
        }

    @staticmethod
    def accounts_after(run: Run) -> list[dict[str, str]]:
        inputs = run.extravars["inputs"]
        there = run.extravars["outputs"].get("accounts", [])
        if run.action == "remove_account":
            return [a for a in there if a["name"] != inputs["account_there"]]
        if run.action == "account_password":
            return list(there)
        name, rights = inputs["account"], inputs["rights"]
        return [*there, {"name": name, "username": f"dibao_{name}", "rights": rights}]

    def operate(self, resource_id: str, action: str, **form: Any) -> Run:
        """An operation asked for by its owner and carried out; the run."""
        person = self.city.person("limin")
        self.control_plane.operations.operate_resource(person, resource_id, action, form)
        self.carry_out()
        return self.runs[-1]

    def backups(self, resource_id: str) -> list[Backup]:
        with self.control_plane.db.read() as session:
            rows = sa.select(Backup).where(Backup.resource_id == resource_id).order_by(Backup.id)
            return list(session.scalars(rows))

    def drills(self, resource_id: str) -> list[RestoreDrill]:
        with self.control_plane.db.read() as session:
            rows = sa.select(RestoreDrill).where(RestoreDrill.resource_id == resource_id)
            return list(session.scalars(rows.order_by(RestoreDrill.id)))

    def resource(self, resource_id: str) -> Resource:
        with self.control_plane.db.read() as session:
            return session.get_one(Resource, resource_id)

    def jobs(self, action: str) -> list[Job]:
        with self.control_plane.db.read() as session:
            return list(session.scalars(sa.select(Job).where(Job.action == action)))

    def archives(self) -> list[str]:
        """Every file in the store."""
        folder = self.control_plane.settings.backups_dir
        return sorted(p.name for p in folder.rglob("*") if p.is_file())

    def backed_up(self, resource_id: str, login: str = "limin") -> str:
        """The number of a backup that was taken now."""
        person = self.city.person(login)
        number = self.control_plane.recovery.back_up_now(person, resource_id)
        self.carry_out()
        return number


def open_depot(folder: Path, url: str, **changes: Any) -> Depot:
    inventory = folder / "inventory.yml"  # that there is one says that shared plans are offered
    return Depot(open_city(folder, url, services=SERVICES, shared_inventory=inventory, **changes))
