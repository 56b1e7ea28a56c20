"""The control plane of this checkout as a process of its own: set up, started, stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import requests
import sqlalchemy as sa

from controlplane import config as control_plane_config
from controlplane import schema
from controlplane.app import build
from controlplane.applying import apply_declared
from controlplane.catalogue.loader import needed_chains
from controlplane.certificate_jobs import authority_of
from controlplane.clock import utc_now
from controlplane.errors import DomainError
from controlplane.people import add_people, load_people
from controlplane.quotas import load_quotas
from controlplane.tenancy.models import Person
from controlplane.tenancy.service import subject_of
from lab import log_programs, ports, processes, settings
from lab.errors import LabError
from lab.kubernetes import inventory, paths, record
from lab.openstack import object_storage
from lab.openstack import paths as openstack_paths
from lab.services import endpoints
from lab.settings import Settings

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PEOPLE = Path(__file__).with_name("people.yml")
READY_TIMEOUT_S = 60
STOP_GRACE_S = 15
SERVE = ("-m", "controlplane.cli", "serve")


@dataclass(frozen=True)
class Server:
    """Where the control plane of this checkout lives and listens."""

    var_dir: Path
    port: int
    clouds_yaml: str
    machines_answer: bool
    shared_inventory: str = ""
    kubeconfig: str = ""
    kubernetes_inventory: str = ""
    object_storage: bool = False
    machine_tools: Mapping[str, str] = field(default_factory=dict)
    machine_log_tools: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        return self.var_dir / "serve.log"

    @property
    def pid_file(self) -> Path:
        return self.var_dir / "serve.process"

    def environment(self) -> dict[str, str]:
        """The settings it runs with; nothing of the caller's own CONTROLPLANE_* leaks in."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CONTROLPLANE_")}
        told = {
            "CONTROLPLANE_SHARED_INVENTORY": self.shared_inventory,
            "CONTROLPLANE_KUBECONFIG": self.kubeconfig,
            "CONTROLPLANE_KUBERNETES_INVENTORY": self.kubernetes_inventory,
            "CONTROLPLANE_MACHINE_TOOLS": _as_json(self.machine_tools),
            "CONTROLPLANE_MACHINE_LOG_TOOLS": _as_json(self.machine_log_tools),
        }
        return {
            **kept,
            **{name: value for name, value in told.items() if value},
            "CONTROLPLANE_VAR_DIR": str(self.var_dir),
            "CONTROLPLANE_PORT": str(self.port),
            "CONTROLPLANE_CLOUDS_YAML": self.clouds_yaml,
            "CONTROLPLANE_MACHINES_ANSWER": str(self.machines_answer).lower(),
            "CONTROLPLANE_OBJECT_STORAGE": str(self.object_storage).lower(),
            "CONTROLPLANE_TICK_SECONDS": "5",
        }

    def settings(self) -> control_plane_config.Settings:
        """The same settings for use in this process: set-up and tokens."""
        return control_plane_config.Settings(
            var_dir=self.var_dir, port=self.port, clouds_yaml=Path(self.clouds_yaml)
        )

    def set_up(self) -> None:
        """Certificate authority, schema, declared quotas, people: what is there already stays.

        Raises LabError.
        """
        try:
            authority = authority_of(self.settings())
            if not authority.exists:
                authority.create("Sample City E-Government Office", utc_now())
            plane = build(self.settings())
            schema.upgrade(plane.db)
            needed = needed_chains(plane.catalogue.every_version)
            declared = load_quotas(plane.settings.quotas_dir, needed)
            with plane.db.transaction() as session:
                apply_declared(session, plane.settings, declared, plane.clock())
                add_people(session, load_people(PEOPLE), plane.clock())
        except DomainError as error:
            raise LabError(f"setting up the control plane: {error}") from error

    def token(self, login: str) -> str:
        """A bearer token of a sample person, for looking at what the pages did."""
        plane = build(self.settings())
        with plane.db.read() as session:
            person_id = session.scalars(sa.select(Person.id).where(Person.login == login)).one()
            subject = subject_of(session, person_id)
        return plane.accounts.create_token(subject, "story")

    def is_up(self) -> bool:
        process = processes.noted(self.pid_file)
        return process is not None and process.alive() and self._answers()

    def start(self) -> None:
        """Starts it and waits until it answers. Raises LabError with the log's last lines."""
        if self.is_up():
            return
        self.stop()
        ports.listen("controlplane", self.port).close()
        self.var_dir.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, *SERVE],
                env=self.environment(),
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        processes.note(child.pid, self.pid_file)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._answers():
            if child.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                raise LabError(f"the control plane did not start; {self.log}:\n{tail}")
            time.sleep(0.1)

    def serve(self) -> NoReturn:
        """Becomes the control plane, in the foreground, for a supervisor that starts it again."""
        self.stop()
        self.var_dir.mkdir(parents=True, exist_ok=True)
        processes.note(os.getpid(), self.pid_file)  # exec keeps pid and start time
        os.chdir(CHECKOUT)
        os.execve(sys.executable, [sys.executable, *SERVE], self.environment())  # noqa: S606

    def stop(self) -> bool:
        """Ends it; returns whether it ran."""
        process = processes.noted(self.pid_file)
        if process is None or not process.alive():
            return False
        processes.end_all([process], STOP_GRACE_S)
        self.pid_file.unlink(missing_ok=True)
        return True

    def _answers(self) -> bool:
        try:
            answer = requests.get(f"{self.url}/healthz", timeout=2)
        except requests.RequestException:
            return False
        return answer.status_code == 200


def server_of(configured: Settings, clouds_yaml: str, machines_answer: bool) -> Server:
    """The control plane beside this checkout's lab."""
    offset = ports.block_offset(configured.ports, configured.home / "ports.json")
    return Server(
        var_dir=configured.home.parent / "controlplane",
        port=ports.numbers(configured.ports, offset)["controlplane"],
        clouds_yaml=clouds_yaml,
        machines_answer=machines_answer,
        shared_inventory=str(endpoints.inventory_file(configured)),
        machine_tools=endpoints.client_programs(configured),
        machine_log_tools=log_programs.of_machines(configured),
        object_storage=not object_storage.absence(openstack_paths.paths_of(configured)),
        **_told_of_kubernetes(configured),
    )


def _told_of_kubernetes(configured: Settings) -> dict[str, str]:
    """Nothing where no pod runs: what is offered must then not stand on it."""
    where = paths.paths_of(configured)
    known, told = record.read(where), inventory.inventory_file(configured)
    if known is None or known.pods != "real" or not told.exists():
        return {}
    return {"kubeconfig": str(where.kubeconfig), "kubernetes_inventory": str(told)}


def _as_json(folders: Mapping[str, str]) -> str:
    return json.dumps(dict(folders)) if folders else ""


def load_settings() -> Settings:
    return settings.load()
