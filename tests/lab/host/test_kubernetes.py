"""The embedded Kubernetes' whole life: it comes, its pods work and last, parts of it die, it goes.

One cluster with a node for the file, as root on Debian; the tests tell one story and stand on each
other, in order. Programs and images come from the checkout's cache; the first run builds them,
which takes some ten minutes. Last, the control plane of an ordinary user.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from lab import ports
from lab.host import picture as host
from lab.kubernetes import CONTROL_PLANE
from lab.kubernetes.node import tools
from lab.unprivileged import User
from tests.lab.capture import Capture
from tests.lab.cloud import until
from tests.lab.pods import (
    BUSYBOX,
    CHECKOUT,
    NGINX,
    PASSWORD,
    POSTGRESQL,
    Department,
    Lab,
    answers,
    ask,
    container,
    shared_cache,
    template,
)

NAMESPACE, OTHER = "energy", "health"


@pytest.fixture(scope="module")
def before() -> dict[str, set[str]]:
    return picture()


def picture() -> dict[str, set[str]]:
    """The machine, with what a node in particular could leave behind."""
    cgroups = {str(path) for path in Path("/sys/fs/cgroup").glob("**/lab-kubernetes-*")}
    node_tools = tools.environment(tools.ensure(shared_cache() / "kubernetes"))
    return {
        **host.picture(),
        "cgroups": cgroups,
        "namespaces": lines("ip", "netns", "list"),
        "packet filter": lines("nft", "list", "ruleset", env=node_tools),
    }


def lines(*command: str, env: Mapping[str, str] | None = None) -> set[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return set(done.stdout.splitlines())


@pytest.fixture(scope="module")
def lab(before: dict[str, set[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.must("start")
        yield lab
    finally:
        lab.run("clean")


@pytest.fixture(scope="module")
def energy(lab: Lab) -> Department:
    department = Department(lab, NAMESPACE)
    department.deploy("web", NGINX)
    department.deploy("shell", BUSYBOX, ["sleep", "infinity"])
    return department


@pytest.fixture(scope="module")
def service(energy: Department) -> str:
    return energy.serve("web", 80, 8080)


@pytest.fixture(scope="module")
def health(lab: Lab) -> Department:
    department = Department(lab, OTHER)
    department.deploy("shell", BUSYBOX, ["sleep", "infinity"])
    return department


def test_status_says_that_pods_run_and_where_to_find_everything(lab: Lab) -> None:
    status = lab.status()
    assert status["ready"]
    assert (status["pods"], status["version"][:3]) == ("real", "v1.")
    assert status["node"]["fenced"]
    assert all(daemon["pid"] for daemon in status["node"]["daemons"])
    assert Path(status["kubeconfig"]).stat().st_mode & 0o077 == 0
    told = lab.must("status")
    assert f"kubeconfig: {status['kubeconfig']}" in told
    kubectl = [status["kubectl"], "--kubeconfig", status["kubeconfig"], "get", "nodes"]
    assert "Ready" in subprocess.run(kubectl, capture_output=True, text=True, check=True).stdout


def test_the_control_plane_runs_as_an_ordinary_user_on_loopback_alone(lab: Lab) -> None:
    pids = {s["name"]: s["pid"] for s in lab.status()["services"] if s["name"] in CONTROL_PLANE}
    for name, pid in pids.items():
        assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid, name
    mine = [
        line.split()[3]
        for line in lines("ss", "-ltnHp")
        if any(f"pid={pid}," in line for pid in pids.values())
    ]
    assert len(mine) == 3
    assert all(address.startswith("127.0.0.1:") for address in mine), mine


def test_a_pod_runs_and_is_reached(energy: Department, service: str) -> None:
    pod = energy.ready_pod("web")
    energy.wait(lambda: answers(f"{pod.status.pod_ip}:8080"), "the pod's page")
    energy.wait(lambda: answers(service), "the Service's page")
    log = energy.core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE)
    assert "GET / HTTP" in log


def test_pods_find_a_service_by_its_name(energy: Department, service: str) -> None:
    energy.wait(lambda: energy.reaches("web"), "the page by its name")
    energy.wait(lambda: energy.reaches(f"web.{NAMESPACE}.svc.cluster.local"), "by its full name")


def test_a_database_on_a_volume(lab: Lab, energy: Department) -> None:
    folder = lab.home / "kubernetes" / "node" / "volume"
    folder.mkdir()
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-1"]}
    energy.core.create_persistent_volume(
        {
            "metadata": {"name": "db"},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "lab-local",
                "local": {"path": str(folder)},
                "nodeAffinity": {
                    "required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}
                },
            },
        }
    )
    server = container(
        POSTGRESQL,
        env=[{"name": "POSTGRES_PASSWORD", "value": PASSWORD}],
        volumeMounts=[{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
        readinessProbe={"tcpSocket": {"port": 5432}, "periodSeconds": 1},
    )
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "lab-local",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    energy.apps.create_namespaced_stateful_set(
        NAMESPACE,
        {
            "metadata": {"name": "db"},
            "spec": {
                "serviceName": "db",
                "selector": {"matchLabels": {"app": "db"}},
                "template": template("db", server, securityContext={"fsGroup": 999}),
                "volumeClaimTemplates": [claim],
            },
        },
    )
    address = energy.serve("db", 5432, 5432)
    assert (
        ask(energy, address, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id") is None
    )
    assert ask(energy, address, "SELECT count(*) FROM kept") == 1000


def test_policies_deny_and_allow_by_real_packets(
    energy: Department, health: Department, service: str
) -> None:
    page = f"{energy.ready_pod('web').status.pod_ip}:8080"
    health.ready_pod("shell")
    health.wait(lambda: health.reaches(page), "without a policy everybody reaches it")
    energy.allow("deny", policyTypes=["Ingress"])
    energy.wait(lambda: not energy.reaches(page), "denied", 10)
    assert not health.reaches(page)
    assert not answers(page), "the machine is denied too"
    assert not answers(service)
    energy.allow(
        "own",
        podSelector={"matchLabels": {"app": "web"}},
        ingress=[{"from": [{"podSelector": {}}], "ports": [{"port": 8080}]}],
    )
    energy.wait(lambda: energy.reaches(page), "the department's own pods", 10)
    assert not health.reaches(page), "another department's pods stay out"
    for name in ("deny", "own"):
        energy.network.delete_namespaced_network_policy(name, NAMESPACE)
    energy.wait(lambda: answers(service), "without a policy again", 10)


def test_a_pod_gets_out_through_the_gateway_alone(lab: Lab, energy: Department) -> None:
    chosen = lab.settings()
    link = chosen.kubernetes.ranges.node_link
    first_port = chosen.ports.first + lab.status()["port_offset"]
    shared = first_port + chosen.ports.numbers["postgresql"]
    with answering(ports.LOOPBACK, shared), answering(str(link[1]), shared):
        through = energy.run_in("shell", "timeout", "3", "nc", str(link[2]), str(shared))
        assert "served" in through, "a server on loopback that the settings name"
        to_machine = energy.run_in("shell", "timeout", "3", "nc", str(link[1]), str(shared))
        assert "served" not in to_machine, "the machine's own address"
    outside = IPv4Network("192.0.2.0/24")  # for documentation, routed like any other
    with Capture([outside]) as capture:
        energy.run_in("shell", "timeout", "2", "wget", "-qO-", "http://192.0.2.77/")
    assert not capture.seen, "a pod's packet has left its node"


@contextlib.contextmanager
def answering(address: str, port: int) -> Iterator[None]:
    """A server that says `served` to whoever connects."""
    with socket.create_server((address, port)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.sendall(b"served\n")
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield


def test_a_program_of_the_node_that_dies_comes_back_and_pods_stay(
    lab: Lab, energy: Department
) -> None:
    restarts = energy.ready_pod("web").status.container_statuses[0].restart_count
    for name in ("kubelet", "kube-proxy", "coredns", "policy", "gateway", "containerd"):
        kill_daemon(lab, name)
        assert lab.daemon(name)["deaths"] == 1
    until(lambda: lab.status()["ready"] or None, 60, "ready again")
    energy.wait(lambda: energy.reaches("web"), "the page by its name")
    assert energy.ready_pod("web").status.container_statuses[0].restart_count == restarts


def kill_daemon(lab: Lab, name: str) -> None:
    """Returns when another process has taken its place."""
    pid = lab.daemon(name)["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: lab.daemon(name)["pid"] not in (None, pid) or None, 15, f"{name} again")


@pytest.mark.parametrize("name", CONTROL_PLANE)
def test_a_killed_part_of_the_control_plane_is_named_and_start_heals(
    lab: Lab, energy: Department, name: str
) -> None:
    os.kill(lab.service(name)["pid"], signal.SIGKILL)
    until(lambda: lab.service(name)["state"] == "died" or None, 10, "status tells it")
    service = lab.service(name)
    assert f"{name} died" in service["fault"]
    assert f"log: {service['log']}" in service["fault"]
    lab.must("start")
    assert lab.status()["ready"]
    assert energy.core.read_namespaced_service("web", NAMESPACE)


def test_a_dead_node_lets_no_packet_out_and_start_heals(
    lab: Lab, energy: Department, service: str
) -> None:
    networks = list(lab.settings().kubernetes.ranges.networks().values())
    address = energy.ready_pod("web").status.pod_ip
    os.kill(lab.service("node")["pid"], signal.SIGKILL)
    until(lambda: lab.service("node")["state"] == "died" or None, 10, "status tells it")
    link = lab.status()["node"]["link"]
    with Capture(networks) as capture:
        for target in (f"{address}:8080", service):
            assert not answers(target)
        subprocess.run(["ip", "link", "del", link], capture_output=True, check=False)
        for target in (f"{address}:8080", service):
            assert not answers(target)
    assert set(capture.seen) <= {link, "lo"}, "a packet to a lab address has left the machine"
    lab.must("start")
    energy.wait(lambda: answers(service), "the page again", 90)
    database = energy.core.read_namespaced_service("db", NAMESPACE).spec.cluster_ip
    assert ask(energy, database, "SELECT count(*) FROM kept") == 1000


def test_objects_rows_and_pods_survive_a_stop_and_a_start(
    lab: Lab, energy: Department, service: str, before: dict[str, set[str]]
) -> None:
    assert "node" in lab.must("stop")
    changed = host.differences(before, picture())
    assert set(changed) <= {"folders"}, changed
    assert lab.run("status").returncode == 3
    started_s = time.monotonic()
    lab.must("start")
    assert time.monotonic() - started_s < 30
    energy.wait(lambda: answers(service), "the page", 90)
    database = energy.core.read_namespaced_service("db", NAMESPACE).spec.cluster_ip
    assert ask(energy, database, "SELECT count(*) FROM kept") == 1000


def test_a_state_is_not_started_as_another_cluster(lab: Lab) -> None:
    lab.must("stop")
    other = Lab(lab.home, overrides={**lab.overrides, "LAB_KUBERNETES__PODS": "none"})
    done = other.run("start")
    assert done.returncode == 1
    assert "run `python -m lab.kubernetes reset` first" in done.stderr


def test_clean_leaves_the_machine_as_it_was(lab: Lab, before: dict[str, set[str]]) -> None:
    lab.must("start")
    lab.must("clean")
    assert host.differences(before, picture()) == {}
    assert not (lab.home / "kubernetes").exists()
    assert traces(str(lab.home)) == []


def traces(folder: str) -> list[str]:
    """Processes that were started with `folder`, or in whose mounts it is."""
    found = []
    for file in (*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/mountinfo")):
        with contextlib.suppress(OSError):
            if folder in file.read_text(encoding="utf-8", errors="replace"):
                found.append(str(file))
    return found


@pytest.fixture
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A copy of an ordinary user, who reads this checkout and what is built."""
    entry = pwd.getpwnam("nobody")
    user = User(entry.pw_uid, entry.pw_gid)
    if not user.can_enter(CHECKOUT) or not user.can_run(Path(sys.executable)):
        pytest.skip(f"an ordinary user does not reach {CHECKOUT}")
    home = Path("/tmp") / f"lab-of-nobody-{os.getpid()}"
    home.mkdir()
    user.give(home)
    lab = Lab(home, user)
    yield lab
    lab.must("clean")
    home.rmdir()


def test_an_ordinary_user_gets_the_control_plane_and_is_told_why_no_pods(ordinary: Lab) -> None:
    port = taken_port(ordinary)
    with socket.create_server((ports.LOOPBACK, port)):
        done = ordinary.run("start")
        assert done.returncode == 1
        assert f"port {port} for kube-apiserver is taken" in done.stderr
    ordinary.must("start")
    told = ordinary.must("status")
    assert "pods: none (pods need root)" in told
    status = ordinary.status()
    assert status["ready"]
    department = Department(ordinary, NAMESPACE)
    department.deploy("web", NGINX)
    pods = department.wait(
        lambda: department.core.list_namespaced_pod(NAMESPACE).items, "the deployment's pod"
    )
    assert pods[0].status.phase == "Pending"
    ordinary.must("stop")
    ordinary.must("start")
    assert department.core.read_namespace(NAMESPACE).status.phase == "Active"


def taken_port(lab: Lab) -> int:
    """The API server's port of a copy that has not been started: its user takes its block here."""
    chosen = lab.settings()
    take = "from lab import ports, settings; from pathlib import Path; import sys; "
    take += "print(ports.block_offset(settings.load().ports, Path(sys.argv[1])))"
    offset = subprocess.run(
        [sys.executable, "-c", take, str(lab.home / "ports.json")],
        cwd=CHECKOUT,
        env=os.environ | lab.environment,
        capture_output=True,
        text=True,
        check=True,
        **lab.user.popen_options(),
    ).stdout
    return chosen.ports.first + int(offset) + chosen.ports.numbers["kubernetes_api"]
