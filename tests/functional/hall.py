"""A city that orders web applications, its cluster stood in for at the contracts."""

from __future__ import annotations

import dataclasses
import gzip
import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controlplane.access import PodLog
from controlplane.config import CHECKOUT
from controlplane.delivery import Run
from controlplane.errors import CloudUnavailable
from controlplane.logs import Logs
from controlplane.pipeline import Ask
from controlplane.preparing import Preparation
from controlplane.provisioning.models import Resource
from controlplane.reports import requests as request_reports
from tests.factories import City, open_city

SERVICES = CHECKOUT / "playbooks" / "services"
OUTPUTS = {"address": "127.0.0.1", "port": 5432, "database": "dibao", "username": "dibao_a"}
OUTPUTS_OF_APP = {
    "url": "http://10.0.0.1:30000/",
    "address": "10.0.0.1",
    "namespace": "egov-civil-affairs-internet",
}


def archive(text: str = "<p>1", name: str = "index.html") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)


def outputs_of_app(run: Run) -> dict[str, Any]:
    """What the play reports."""
    tls = run.extravars.get("tls")
    more = {"https_url": f"https://{tls['names'][0]}:30001/", "https_port": 30001} if tls else {}
    return OUTPUTS_OF_APP | more


@dataclass
class Hall:
    """A city that orders applications; `runs` are those carried out, in their order."""

    city: City
    runs: list[Run] = field(default_factory=list)

    def upload(self, content: bytes, login: str = "limin") -> str:
        uploads = self.city.control_plane.uploads
        person = self.city.person(login)
        return uploads.receive(person, None, "app.tar.gz", io.BytesIO(content)).sha256

    def carry_out(self) -> list[str]:
        first = len(self.runs)
        delivery = self.city.control_plane.delivery
        while (run := delivery.claim("test:1")) is not None:
            self.runs.append(run)
            if run.refusal is not None:
                delivery.fail(run, run.refusal.reason, final=True)
            else:
                is_app = run.playbook.startswith("services/webapp/")
                delivery.complete(run, outputs_of_app(run) if is_app else OUTPUTS)
        return [run.action for run in self.runs[first:]]

    def ask(self, service: str, login: str = "limin", **form: Any) -> str:
        """The id of what was asked, agreed to and delivered."""
        asked = Ask(service, "provision", "internet", {"system_name": "低保", **form})
        pipeline = self.city.control_plane.pipeline
        request_id = pipeline.submit_request(self.city.person(login), asked)
        self.city.decide("zhangjing", request_id)
        self.carry_out()
        with self.city.control_plane.db.read() as session:
            request = request_reports.find_request(session, self.city.person(login), request_id)
            assert request.state == "fulfilled"
            assert request.resource_id is not None
            return request.resource_id

    def application(self, login: str = "limin", **form: Any) -> str:
        sha256 = form.pop("archive", None) or self.upload(archive(), login)
        return self.ask("webapp", login, plan="small", archive=sha256, **form)

    def change(self, resource_id: str, action: str, **form: Any) -> list[str]:
        asked = Ask("webapp", action, "internet", form, resource_id=resource_id)
        self.city.control_plane.pipeline.submit_request(self.city.person("limin"), asked)
        return self.carry_out()

    def prepared(self, resource_id: str, action: str) -> Preparation:
        asked = Ask("webapp", action, "internet", {}, resource_id=resource_id)
        return self.city.control_plane.pipeline.prepare(self.city.person("limin"), asked)

    def resource(self, resource_id: str) -> Resource:
        with self.city.control_plane.db.read() as session:
            return session.get_one(Resource, resource_id)

    def kept(self) -> list[str]:
        """Every file in the store of uploads."""
        folder = self.city.control_plane.settings.uploads_dir
        return sorted(path.name for path in folder.rglob("*") if path.is_file())


class Pods:
    """Stands for the cluster's driver."""

    def __init__(self) -> None:
        self.is_silent = False

    def pod_logs(self, namespace: str, _resource_id: str, **bounds: int) -> list[PodLog]:
        if self.is_silent:
            raise CloudUnavailable(reason="connection refused")
        assert (namespace, bounds["lines"]) == (OUTPUTS_OF_APP["namespace"], 200)
        return [PodLog("webapp-1", True, 2, "GET / 200 <script>\n", False)]


def with_pods(city: City) -> Pods:
    """What its applications' pods write, from now on."""
    pods, plane = Pods(), city.control_plane
    logs = Logs(plane.db, plane.catalogue, lambda _engine: pods)
    city.control_plane = dataclasses.replace(plane, logs=logs)
    return pods


def open_hall(folder: Path, url: str, **changes: Any) -> Hall:
    told = folder / "told"  # that there is a way says that what stands there is offered
    ways = {"shared_inventory": told, "kubeconfig": told}
    return Hall(open_city(folder, url, services=SERVICES, **ways, **changes))
