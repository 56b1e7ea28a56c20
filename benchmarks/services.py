"""`make bench-services`: from the last approval to a client's first answer, beside the bare play.

Ours is the whole way over HTTP: the office's agreement, job, worker, ansible-runner, playbook, the
connection details as they are shown, a real client. The peer is the same playbook by hand, with
`ansible-playbook` and nothing around it. Servers in the cluster have a bound instead of a peer.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import yaml
from kubernetes import client, config

from benchmarks.department import APPLICANT, Department
from benchmarks.figures import Figure, report
from benchmarks.orders import benchmark_server
from controlplane.drivers.kubernetes import KubernetesCloud
from lab import settings
from lab.errors import LabError
from lab.kubernetes import cluster, inventory, paths
from lab.progress import Progress
from lab.services import endpoints, shared
from tests.lab.applications import page_at, zipped
from tests.lab.engine_clients import Access, broker, cache, mariadb
from tests.lab.engineers import Engineer
from tests.lab.servers.shared_roles import Instance, plan_of

TIMES = 3
PLAY_BOUND, SHARED_BOUND_S, CLUSTER_BOUND_S = 1.3, 8.0, 25.0
BY_HAND = "by-hand-12345"

Texts = Mapping[str, str]
FirstAnswer = Callable[[Texts, Path], Any]


def _postgresql(texts: Texts, folder: Path) -> None:
    ca = folder / "ca.pem"
    ca.write_text(texts["ca"])
    address = texts["uri"].replace("sslrootcert=ca.pem", f"sslrootcert={ca}")
    with psycopg.connect(address, connect_timeout=5) as connection:
        connection.execute("SELECT 1")


def _mariadb(texts: Texts, folder: Path) -> None:
    mariadb(Access.shown(dict(texts), folder)).close()


def _redis(texts: Texts, folder: Path) -> None:
    cache(Access.shown(dict(texts), folder)).echo("1")


def _rabbitmq(texts: Texts, folder: Path) -> None:
    broker(Access.shown(dict(texts), folder)).close()


def _namespace(texts: Texts, _: Path) -> None:
    told = yaml.safe_load(texts["kubeconfig"])
    api = client.CoreV1Api(config.new_client_from_config_dict(told))
    api.list_namespaced_pod(told["contexts"][0]["context"]["namespace"])


@dataclass(frozen=True)
class Kind:
    """A service, what its form asks for beside system and plan, and a client's first question."""

    service: str
    form: Mapping[str, Any]
    ask: FirstAnswer


KINDS = (
    Kind("postgresql", {"database_name": "dibao"}, _postgresql),
    Kind("mariadb", {"database_name": "dibao"}, _mariadb),
    Kind("redis", {"key_prefix": "dibao"}, _redis),
    Kind("rabbitmq", {"vhost_name": "dibao"}, _rabbitmq),
)
NAMESPACE = Kind("namespace", {"namespace_name": "dibao", "pod_security": "restricted"}, _namespace)


@dataclass
class Bench:
    department: Department
    shared_inventory: Path
    folder: Path

    def to_first_answer(self, kind: Kind, plan: str) -> float:
        """Seconds of one order, from the last approval on."""
        form = {"system_name": "低保核对系统", "plan": plan, **kind.form}
        resource_id, delivered_s = self.department.order(kind.service, form)
        started_s = time.monotonic()
        kind.ask(self.department.shown(resource_id), self.folder)
        return delivered_s + time.monotonic() - started_s

    def shared(self, kind: Kind) -> Figure:
        """Ours and the play by hand take turns, after one of each that warms."""
        ours, peer = [], []
        for _ in range(TIMES + 1):
            ours.append(self.to_first_answer(kind, "small"))
            peer.append(self._by_hand(kind))
        return _figure(f"{kind.service}, shared", ours, peer)

    def _by_hand(self, kind: Kind) -> float:
        spec = {"system_name": "by hand", "plan": plan_of(kind.service, "small"), **kind.form}
        instance = Instance(kind.service, self.shared_inventory, self.folder, spec, BY_HAND)
        started_s = time.monotonic()
        instance.run("provision")
        took_s = time.monotonic() - started_s
        instance.run("retire")
        return took_s

    def namespace(self, engineer: Engineer) -> Figure:
        plan = plan_of("namespace", "small")
        ours, peer = [], []
        for _ in range(TIMES + 1):
            ours.append(self.to_first_answer(NAMESPACE, "small"))
            spec = {"system_name": "by hand", "plan": plan, **NAMESPACE.form}
            told = {"spec": spec, "resource_id": str(uuid.uuid4())}
            started_s = time.monotonic()
            engineer.changes("services/namespace/manage.yml", **told)
            peer.append(time.monotonic() - started_s)
            engineer.changes("services/namespace/manage.yml", action="retire", **told)
        return _figure("namespace", ours, peer)

    def in_cluster(self, kind: Kind) -> Figure:
        return _against_its_bound(
            kind.service, [self.to_first_answer(kind, "own_small") for _ in range(TIMES)]
        )

    def web_application(self) -> Figure:
        ours = []
        for turn in range(TIMES):
            page = f"<p>{turn}"
            archive = self.department.upload(zipped({"index.html": page}), "site.zip")
            form = {"system_name": "网站", "plan": "small", "archive": archive}
            resource_id, delivered_s = self.department.order("webapp", form)
            started_s = time.monotonic()
            url = self.department.call(APPLICANT, f"/resources/{resource_id}")["outputs"]["url"]
            if page_at(url) != page:
                raise LabError(f"{url} answers with another page")
            ours.append(delivered_s + time.monotonic() - started_s)
        return _against_its_bound("web application", ours)


def _figure(name: str, ours: list[float], peer: list[float]) -> Figure:
    said = f"{name} (at most {PLAY_BOUND} times and {SHARED_BOUND_S:.0f} s)"
    return Figure(said, statistics.median(ours[1:]), statistics.median(peer[1:]), "s")


def _against_its_bound(name: str, ours: list[float]) -> Figure:
    said = f"{name}, in the cluster (at most {CLUSTER_BOUND_S:.0f} s)"
    return Figure(said, statistics.median(ours), CLUSTER_BOUND_S, "s")


@contextmanager
def bench(folder: Path, kubernetes: Mapping[str, str]) -> Iterator[Bench]:
    """A control plane over the lab's shared servers, and the cluster where it is told of one."""
    configured = settings.load()
    shared.start(shared.ENGINES, configured, Progress())
    servers = endpoints.write_inventory(configured)
    clouds = folder / "clouds.yaml"
    clouds.write_text(yaml.safe_dump({"clouds": {}}))
    server = replace(
        benchmark_server(folder / "var", str(clouds), False),
        shared_inventory=str(servers),
        **kubernetes,
    )
    server.set_up()
    server.start()
    try:
        department = Department(server, folder)
        try:
            yield Bench(department, servers, folder)
        finally:
            department.destroy_all()
    finally:
        server.stop()


def start_cluster() -> dict[str, str]:
    """What a control plane is told of it; nothing where no pod runs, and it is said why."""
    configured = settings.load()
    status = cluster.start(configured, Progress())
    if status.pods != "real":
        print(f"without the cluster: {status.reason}")
        return {}
    return {
        "kubeconfig": str(paths.paths_of(configured).kubeconfig),
        "kubernetes_inventory": str(inventory.inventory_file(configured)),
    }


def measure(folder: Path) -> list[Figure]:
    told = start_cluster()
    with bench(folder, told) as running:
        figures = [running.shared(kind) for kind in KINDS]
        if told:
            kubeconfig, hosts = Path(told["kubeconfig"]), Path(told["kubernetes_inventory"])
            cloud = KubernetesCloud(kubeconfig, hosts, run_seconds=600)
            engineer = Engineer(cloud, hosts, folder)
            engineer.changes("ops/onboard.yml")
            figures.append(running.namespace(engineer))
            figures += [running.in_cluster(kind) for kind in KINDS]
            figures.append(running.web_application())
    return figures


def keeps_its_bound(figure: Figure) -> bool:
    if figure.peer == CLUSTER_BOUND_S:
        return figure.ratio <= 1
    return figure.ratio <= PLAY_BOUND and figure.ours <= SHARED_BOUND_S


def main() -> int:
    try:
        with tempfile.TemporaryDirectory(prefix="bench-services-") as folder:
            figures = measure(Path(folder))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report("services", figures, "play or bound")
    missed = [figure.figure for figure in figures if not keeps_its_bound(figure)]
    for figure in missed:
        print(f"over the bound: {figure}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
