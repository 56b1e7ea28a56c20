"""A department of the sample city at a benchmark's control plane, over its JSON API."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from lab.city.server import Server
from lab.errors import LabError

APPLICANT, OFFICER, ENGINEER = "limin", "zhangjing", "chengang"
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

    def upload(self, content: bytes, filename: str) -> str:
        """An archive for a web application; by what a form names it."""
        answer = requests.post(
            f"{self.server.url}/api/v1/uploads?filename={filename}",
            data=content,
            headers={
                "Authorization": f"Bearer {self._tokens[APPLICANT]}",
                "Content-Type": "application/octet-stream",
                "Idempotency-Key": uuid.uuid4().hex,
            },
            timeout=60,
        )
        if answer.status_code >= 400:
            raise LabError(f"upload: HTTP {answer.status_code} {answer.text[:500]}")
        return str(answer.json()["sha256"])

    def order(self, service: str, form: Mapping[str, Any]) -> tuple[str, float]:
        """A delivered resource's id, and the seconds from the last approval on."""
        body = {"service": service, "zone": "internet", "form": dict(form)}
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

    def shown(self, resource_id: str) -> dict[str, str]:
        """The ways to connect, by their code."""
        shown = self.call(APPLICANT, f"/resources/{resource_id}/connection", {"reason": "测量"})
        return {snippet["code"]: snippet["text"] for snippet in shown["snippets"]}

    def uri(self, resource_id: str) -> str:
        """A PostgreSQL's connection string, its authority put into a file."""
        texts = self.shown(resource_id)
        ca = self.folder / "ca.pem"
        ca.write_text(texts["ca"] + "\n")
        return str(texts["uri"]).replace("sslrootcert=ca.pem", f"sslrootcert={ca}")

    def destroy_all(self) -> None:
        """Nothing of it stays on the server; last backups go with the benchmark's folder."""
        for row in self.call(ENGINEER, "/resources")["items"]:
            path = f"/resources/{row['id']}"
            self.call(ENGINEER, f"{path}/destruction", {"name": row["name"]})
        self.wait(lambda: self.call(ENGINEER, "/resources")["items"], lambda items: not items)

    @staticmethod
    def wait(look: Callable[[], Any], is_over: Callable[[Any], bool]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not is_over(seen := look()):
            if time.monotonic() > deadline:
                raise LabError(f"not within {PATIENCE_S} s: {seen}")
            time.sleep(0.1)
        return seen
