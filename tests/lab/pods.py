"""A copy of the embedded Kubernetes, and what a department does with it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from kubernetes import client, config
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream

from lab import ranges, settings
from lab.errors import LabError
from lab.unprivileged import User
from tests.lab.cloud import tried_in_turn, until

CHECKOUT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 2400  # a cold build on a busy machine
PASSWORD = "not-a-real-one"
NGINX, BUSYBOX, POSTGRESQL = (
    f"lab.local/{name}" for name in ("nginx:1.22", "busybox:1.35", "postgresql:15")
)


def free_ranges() -> dict[str, str]:
    """Settings for address ranges that nothing on this machine uses, another lab's included."""
    for block in tried_in_turn(range(110, 140, 2)):
        chosen = {
            "LAB_KUBERNETES__RANGES__NODE_LINK": f"172.30.{block}.0/30",
            "LAB_KUBERNETES__RANGES__PODS": f"10.{block}.0.0/16",
            "LAB_KUBERNETES__RANGES__SERVICES": f"10.{block + 1}.0.0/16",
        }
        try:
            ranges.check(
                settings.load(environment=chosen).kubernetes.ranges, table="kubernetes.ranges"
            )
        except LabError:
            continue
        return chosen
    raise AssertionError("no free address ranges for the lab on this machine")


def shared_cache() -> Path:
    """What is built once serves every copy."""
    return Path(os.environ.get("LAB_CACHE") or settings.load(environment={}).cache)


@dataclass
class Lab:
    """One copy of the lab, driven by its command as a person would, as `user`."""

    home: Path
    user: User = field(default_factory=User)
    overrides: dict[str, str] = field(default_factory=free_ranges)

    @property
    def environment(self) -> dict[str, str]:
        return {"LAB_HOME": str(self.home), "LAB_CACHE": str(shared_cache()), **self.overrides}

    def settings(self) -> settings.Settings:
        return settings.load(environment=self.environment)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
        return subprocess.run(
            [sys.executable, "-m", "lab.kubernetes", *arguments],
            cwd=CHECKOUT,
            env=inherited | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_LIMIT_S,
            **self.user.popen_options(),
        )

    def must(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return answer

    def service(self, name: str) -> dict[str, Any]:
        return next(s for s in self.status()["services"] if s["name"] == name)

    def daemon(self, name: str) -> dict[str, Any]:
        return next(d for d in self.status()["node"]["daemons"] if d["name"] == name)

    def client(self) -> client.ApiClient:
        return config.new_client_from_config(str(self.home / "kubernetes" / "kubeconfig"))


class Department:
    """A namespace and what stands in it."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.name, self._lab = name, lab
        self.core, self.apps = client.CoreV1Api(lab.client()), client.AppsV1Api(lab.client())
        self.network = client.NetworkingV1Api(lab.client())
        self.core.create_namespace(
            {
                "metadata": {
                    "name": name,
                    "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
                }
            }
        )
        self.wait(lambda: self.core.read_namespaced_service_account("default", name), "an account")

    def wait(self, ask: Callable[[], Any], what: str, limit_s: float = 60) -> Any:
        def answer() -> Any:
            with contextlib.suppress(ApiException, OSError):
                return ask() or None
            return None

        return until(answer, limit_s, what)

    def pod(self, app: str) -> Any:
        """A pod of `app` that is ready, or None."""
        for pod in self.core.list_namespaced_pod(self.name, label_selector=f"app={app}").items:
            conditions = pod.status.conditions or []
            ready = any(c.type == "Ready" and c.status == "True" for c in conditions)
            if ready and not pod.metadata.deletion_timestamp:
                return pod
        return None

    def ready_pod(self, app: str) -> Any:
        return self.wait(lambda: self.pod(app), f"a ready pod of {app}", 90)

    def run_in(self, app: str, *command: str) -> str:
        """What a command says in a pod of `app`."""
        pod = self.ready_pod(app)
        own = client.CoreV1Api(self._lab.client())  # stream() changes the client it is given
        return str(
            stream(
                own.connect_get_namespaced_pod_exec,
                pod.metadata.name,
                self.name,
                command=list(command),
                stdout=True,
                stderr=True,
                stdin=False,
                tty=False,
            )
        )

    def deploy(self, app: str, image: str, command: list[str] | None = None) -> None:
        self.apps.create_namespaced_deployment(
            self.name,
            {
                "metadata": {"name": app},
                "spec": {
                    "selector": {"matchLabels": {"app": app}},
                    "template": template(app, container(image, command=command)),
                },
            },
        )

    def serve(self, app: str, port: int, target: int) -> str:
        """A Service in front of `app`; its address."""
        made = self.core.create_namespaced_service(
            self.name,
            {
                "metadata": {"name": app},
                "spec": {
                    "selector": {"app": app},
                    "ports": [{"port": port, "targetPort": target}],
                },
            },
        )
        return str(made.spec.cluster_ip)

    def allow(self, name: str, **spec: Any) -> None:
        self.network.create_namespaced_network_policy(
            self.name, {"metadata": {"name": name}, "spec": {"podSelector": {}, **spec}}
        )

    def reaches(self, address: str) -> bool:
        """Whether the department's pod `shell` gets a page from there."""
        url = f"http://{address}/"
        return "nginx of the lab" in self.run_in("shell", "timeout", "2", "wget", "-qO-", url)


def container(image: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        **{key: value for key, value in more.items() if value is not None},
    }


def template(app: str, main: dict[str, Any], **spec: Any) -> dict[str, Any]:
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 2,
            "securityContext": {**security, **spec.pop("securityContext", {})},
            "containers": [main],
            **spec,
        },
    }


def get(address: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{address}/", timeout=3) as answer:
        return str(answer.read().decode())


def answers(address: str) -> bool:
    try:
        return "nginx of the lab" in get(address)
    except OSError:
        return False


def ask(department: Department, address: str, statement: str) -> Any:
    """The first value of a statement's answer, from the database at `address` once it serves."""
    department.ready_pod("db")

    def connected() -> Any:
        try:
            return psycopg.connect(
                host=address,
                user="postgres",
                password=PASSWORD,
                connect_timeout=3,
                autocommit=True,
            )
        except psycopg.OperationalError:
            return None

    with until(connected, 30, "PostgreSQL") as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def shared_services(lab: Lab, *arguments: str) -> None:
    """`python -m lab.services …` in the home of that lab."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
    subprocess.run(
        [sys.executable, "-m", "lab.services", *arguments],
        cwd=CHECKOUT,
        env=inherited | lab.environment,
        check=True,
        capture_output=True,
        timeout=300,
    )
