"""Pure parts of the embedded Kubernetes: policies as rules, images, certificates, error lines."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from lab import ports, ranges, settings
from lab.errors import LabError
from lab.kubernetes import (
    CONTROL_PLANE,
    builds,
    cluster,
    commands,
    credentials,
    images,
    logs,
    paths,
    pods,
    record,
    toolchain,
)
from lab.kubernetes.authority import Authority, Subject
from lab.kubernetes.context import Context
from lab.kubernetes.inside import gateway
from lab.kubernetes.inside.first import (
    MOST_DEATHS,
    PAUSE_BEFORE_RESTART_S,
    GivenUpError,
    Program,
)
from lab.kubernetes.inside.policy_rules import Cluster, selects, table
from lab.progress import Progress
from lab.unprivileged import User

PODS_RANGE = "10.75.0.0/16"


def load(**environment: str) -> settings.Settings:
    return settings.load(environment=environment)


# Settings


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("LAB_KUBERNETES__PODS", "perhaps", "kubernetes.pods: auto, none or real"),
        ("LAB_KUBERNETES__PODS_REACH", '["nobody"]', "kubernetes.pods_reach: nobody"),
        ("LAB_KUBERNETES__RANGES__PODS", "10.76.0.0/15", "overlaps kubernetes.ranges.services"),
        ("LAB_KUBERNETES__RANGES__PODS", "172.30.77.0/24", "overlaps kubernetes.ranges.pods"),
        ("LAB_KUBERNETES__RANGES__NODE_LINK", "172.30.75.0/31", "at least four addresses"),
        ("LAB_KUBERNETES__READY_TIMEOUT_S", "0", "kubernetes.ready_timeout_s"),
    ],
)
def test_settings_that_cannot_work_are_refused(variable: str, value: str, told: str) -> None:
    with pytest.raises(LabError, match=told):
        load(**{variable: value})


def test_a_range_in_use_is_named_by_its_key_in_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranges, "_ip", lambda *_: "10.75.3.0/24 dev eth0 scope link\n")
    chosen = load(LAB_KUBERNETES__RANGES__PODS=PODS_RANGE).kubernetes.ranges
    with pytest.raises(
        LabError, match=r"  kubernetes\.ranges\.pods 10\.75\.0\.0/16 overlaps route"
    ):
        ranges.check(chosen, table="kubernetes.ranges")


def test_a_home_too_deep_for_etcds_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is too deep"):
        paths.paths_of(load(LAB_HOME=str(tmp_path / ("x" * 90))))


def test_an_ordinary_user_gets_no_pods_and_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    where = paths.paths_of(load(LAB_HOME=str(tmp_path)))
    choice = pods.choose(load(), where, Progress(quiet=True))
    assert (choice.pods, choice.reason) == ("none", "pods need root")
    with pytest.raises(LabError, match="pods cannot run here: pods need root"):
        pods.choose(load(LAB_KUBERNETES__PODS="real"), where, Progress(quiet=True))


@pytest.mark.parametrize(
    "environment",
    [
        {"LAB_KUBERNETES__PODS": "none"},
        {"LAB_KUBERNETES__RANGES__PODS": "10.99.0.0/16"},
    ],
)
def test_a_state_is_not_started_as_another_cluster(environment: dict[str, str]) -> None:
    known = record.new(load(), User(), "real", "a node can run", 0)
    record.refuse_another(known, load(), User(), 0)
    with pytest.raises(LabError, match=r"run `python -m lab\.kubernetes reset` first"):
        record.refuse_another(known, load(**environment), User(), 0)
    with pytest.raises(LabError, match="block of ports 0, not 50"):
        record.refuse_another(known, load(), User(), 50)


# Builds


def test_the_lock_names_the_versions() -> None:
    assert builds.version("k8s.io/kubernetes").startswith("v1.")
    assert builds.version(builds.CONTAINERD).startswith("v2.")
    with pytest.raises(LabError, match="does not name"):
        builds.version("example.org/nothing")


def test_programs_of_another_lock_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = builds.folder(tmp_path)
    folder.mkdir()
    (folder / "kubernetes").touch()
    assert builds.are_built(tmp_path, (builds.KUBERNETES,))
    source = tmp_path / "go"
    source.mkdir()
    (source / "go.mod").write_text("module other\n")
    monkeypatch.setattr(builds, "SOURCE", source)
    assert not builds.are_built(tmp_path, (builds.KUBERNETES,))


def test_a_disk_too_full_to_build_on_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds, "NEEDED_BYTES", 2**60)
    with pytest.raises(LabError, match=r"needs \d+ GiB below .*LAB_CACHE"):
        builds.ensure(tmp_path, (builds.KUBERNETES,), "auto", Progress(quiet=True))


def test_a_go_that_is_missing_or_too_old_is_named(tmp_path: Path) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go1.19.8\n")
    old.chmod(0o755)
    with pytest.raises(LabError, match=r"is Go 1\.19\.8, Go 1\.\S+ or newer is needed"):
        toolchain.find(str(old), tmp_path, Progress(quiet=True))
    with pytest.raises(LabError, match="is not there"):
        toolchain.find(str(tmp_path / "none"), tmp_path, Progress(quiet=True))


def test_go_versions_compare_as_numbers() -> None:
    assert toolchain.parse("go1.26.10") > toolchain.parse("1.26.6")
    assert toolchain.parse("devel") == ()
    assert toolchain.wanted_version("module lab\n\ngo 1.26.6\n") == (1, 26, 6)


@pytest.mark.parametrize(
    ("arguments", "said", "told"),
    [
        (("mod", "download"), "dial tcp: connection refused", "could not be downloaded"),
        (("build",), "link: write x: no space left on device", "the disk is full"),
        (("build",), "main.go:3: undefined: x", "go build failed:\nmain.go:3: undefined"),
    ],
)
def test_a_failed_build_says_why(arguments: tuple[str, ...], said: str, told: str) -> None:
    assert told in builds._explain(arguments, said)


# Control plane


@pytest.fixture
def context(tmp_path: Path) -> Context:
    chosen = load(LAB_HOME=str(tmp_path / "lab"), LAB_CACHE=str(tmp_path / "cache"))
    where = paths.lay_out(chosen, User())
    known = record.new(chosen, User(), "none", "chosen in the settings", 0)
    return Context(chosen, where, known, tmp_path / "programs")


def test_everything_listens_on_loopback_or_a_socket_of_its_users_folder(context: Context) -> None:
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        assert f"--bind-address={ports.LOOPBACK}" in commands.command(context, name)
    etcd = commands.command(context, "etcd")
    listening = [word for word in etcd if word.startswith("--listen")]
    assert len(listening) == 2
    assert all(f"=unix://{context.paths.etcd}/" in word for word in listening)
    assert context.paths.etcd.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("died", "started"),
    [
        ((), ()),
        (("kube-scheduler",), ("kube-scheduler",)),
        (("kube-apiserver",), CONTROL_PLANE[1:]),
        (("etcd", "kube-apiserver"), CONTROL_PLANE),
    ],
)
def test_who_watches_a_new_api_server_starts_again_with_it(
    context: Context, died: tuple[str, ...], started: tuple[str, ...]
) -> None:
    now = cluster.status(context.settings)
    services = tuple(
        replace(service, state="died" if service.name in died else "ready")
        for service in now.services
    )
    assert cluster.missing_of(replace(now, services=services)) == list(started)


def test_strangers_may_not_read_what_lets_one_in(context: Context) -> None:
    credentials.write(context, User())
    secret = [context.paths.kubeconfig, *context.paths.pki.glob("*.key"),
              *context.paths.pki.glob("*.kubeconfig")]  # fmt: skip
    assert len(secret) > 10
    assert all(file.stat().st_mode & 0o077 == 0 for file in secret)
    login = json.loads(context.paths.kubeconfig.read_text())
    assert login["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:21025"


def test_certificates_are_kept_until_they_are_to_say_something_else(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    wanted = {"server": Subject("server", hosts=("localhost", "127.0.0.1"))}
    authority.ensure(wanted)
    first = authority.pair("server")[0].read_bytes()
    authority.ensure(wanted)
    assert authority.pair("server")[0].read_bytes() == first
    authority.ensure({"server": Subject("server", hosts=("localhost", "172.30.75.2"))})
    made = x509.load_pem_x509_certificate(authority.pair("server")[0].read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == {"localhost", "172.30.75.2"}
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    made.verify_directly_issued_by(issuer)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('I1124 05:00:00.000000 7 a.go:1] "fine"\nE1124 05:00:00.000000       7 run.go:72] '
         '"command failed" err="port taken"\nI1124 05:00:01.000000 7 a.go:1] "fine"\n',
         '"command failed" err="port taken"'),
        ('{"level":"warn","msg":"slow"}\n{"level":"fatal","msg":"no data","error":"disk full"}\n',
         "no data: disk full"),
        ("panic: nil\n\ngoroutine 1\n", "panic: nil"),
        ('time="x" level=fatal msg="no cgroup"\n', 'time="x" level=fatal msg="no cgroup"'),
        ("all is well\n", "none; it ends with: all is well"),
        ("", "none; the log is empty"),
    ],
)  # fmt: skip
def test_the_last_error_line_of_each_program_is_found(tmp_path: Path, text: str, told: str) -> None:
    log = tmp_path / "program.log"
    log.write_text(text)
    assert logs.last_error(log) == told


# The node


def test_a_program_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    program = Program("kubelet", ["false"], tmp_path / "kubelet.log")
    assert program.is_due(0)
    for death in range(MOST_DEATHS):
        program.note_death(1, death)
    assert not program.is_due(MOST_DEATHS - 1 + PAUSE_BEFORE_RESTART_S / 2)
    assert program.is_due(MOST_DEATHS - 1 + PAUSE_BEFORE_RESTART_S)
    with pytest.raises(GivenUpError, match="kubelet died"):
        program.note_death(1, MOST_DEATHS)


def test_the_gateway_passes_both_directions_on() -> None:
    async def talk() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.read()).upper())  # at the end of what is asked
            writer.close()

        behind = await asyncio.start_server(answer, ports.LOOPBACK, 0)
        port = behind.sockets[0].getsockname()[1]
        before = socket.create_server(("127.0.0.2", port))
        serving = asyncio.create_task(gateway.serve({port: before}))
        await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.2", port)
        writer.write(b"hello")
        writer.write_eof()
        said = await reader.read()
        writer.close()
        serving.cancel()
        behind.close()
        return said

    assert asyncio.run(asyncio.wait_for(talk(), 10)) == b"HELLO"


# Images


def test_a_package_path_lands_where_debian_has_it_today() -> None:
    assert images.place("./bin/sh") == "usr/bin/sh"
    assert images.place("./lib64/ld-linux.so.2") == "usr/lib64/ld-linux.so.2"
    assert images.place("./usr/share/doc/x/copyright") is None
    assert images.place("./usr/share/docs/kept") == "usr/share/docs/kept"
    assert images.place("./usr/share/perl/x", ("usr/share/perl",)) is None
    assert images.place("./") is None


def package(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"./{name.replace('__', '/')}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_an_image_holds_the_packages_and_the_recipes_files(tmp_path: Path) -> None:
    recipe = images.Recipe(
        name="web",
        version="1",
        packages=(),
        command=("/usr/bin/web",),
        user=65532,
        folders={"srv": (65532, 0o700)},
        files={"etc/web.conf": (b"listen", 0o600)},
    )
    layer = images.Layer()
    layer.add_package(package(bin__web=b"program", usr__share__man__web=b"no"))
    layer.finish(recipe)
    content = layer.tar()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = archive.getnames()
        assert archive.getmember("etc/web.conf").mode == 0o600
        assert archive.getmember("srv").uid == 65532
        assert archive.getmember("bin").linkname == "usr/bin"
        assert names.index("usr/bin") < names.index("usr/bin/web")
    assert "usr/share/man/web" not in names
    images.write_image(recipe, content, tmp_path / "web.tar")
    with tarfile.open(tmp_path / "web.tar") as image:
        index = json.load(image.extractfile("index.json"))  # type: ignore[arg-type]
        blob = "blobs/sha256/" + index["manifests"][0]["digest"].removeprefix("sha256:")
        manifest = json.load(image.extractfile(blob))  # type: ignore[arg-type]
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == "lab.local/web:1"
    assert len(manifest["layers"]) == 1


def test_every_recipe_can_be_read_and_runs_as_somebody_known() -> None:
    recipes = images.recipes()
    assert {"pause", "busybox", "nginx", "postgresql"} <= {recipe.name for recipe in recipes}
    assert all(recipe.user in images.USERS.values() and recipe.user for recipe in recipes)


def test_a_broken_recipe_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "image.toml").write_text('version = "1"\n')
    with pytest.raises(LabError, match=r"broken/image\.toml is no recipe"):
        images.recipes(tmp_path)


# Policies


def pod(name: str, address: str, namespace: str = "a", **labels: str) -> dict[str, Any]:
    ports_ = [{"name": "web", "containerPort": 8080}]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"ports": ports_}]},
        "status": {"podIP": address, "phase": "Running"},
    }


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


def policy(namespace: str = "a", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace}, "spec": {"podSelector": {}, **spec}}


WEB = pod("web", "10.75.0.2", app="web")
DATABASE = pod("db", "10.75.0.3", app="db")
STRANGER = pod("spy", "10.75.0.4", namespace="b", app="web")
NAMESPACES = [namespace("a", team="a"), namespace("b", team="b")]


def rules_of(*policies: dict[str, Any], chain: str = "ingress_10_75_0_2") -> list[str] | None:
    """The rules of one chain of the table, or None if the table does not have it."""
    text = table(Cluster([WEB, DATABASE, STRANGER], NAMESPACES, policies), PODS_RANGE)
    found: list[str] | None = None
    for line in text.splitlines():
        if line.strip() == f"chain {chain} {{":
            found = []
        elif line.strip() == "}" and found is not None:
            return found
        elif found is not None:
            found.append(line.strip())
    return None


def test_no_policy_isolates_nobody() -> None:
    assert rules_of() is None


def test_default_deny_drops_both_directions_in_its_namespace_only() -> None:
    deny = policy(policyTypes=["Ingress", "Egress"])
    assert rules_of(deny) == ["drop"]
    assert rules_of(deny, chain="egress_10_75_0_3") == ["drop"]
    assert rules_of(deny, chain="ingress_10_75_0_4") is None


def test_a_peer_without_namespaces_is_of_the_policys_own() -> None:
    allow = policy(ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}])
    assert rules_of(allow, chain="ingress_10_75_0_3") == [
        "ip saddr { 10.75.0.2 } return",
        "drop",
    ]


def test_a_peer_of_another_namespace_needs_its_selector() -> None:
    other = {"namespaceSelector": {"matchLabels": {"team": "b"}}}
    assert rules_of(policy(ingress=[{"from": [other]}])) == [
        "ip saddr { 10.75.0.4 } return",
        "drop",
    ]
    nobody = {**other, "podSelector": {"matchLabels": {"app": "none"}}}
    assert rules_of(policy(ingress=[{"from": [nobody]}])) == ["drop"]


def test_an_empty_rule_lets_everybody_in_and_an_empty_selector_is_everywhere() -> None:
    assert rules_of(policy(ingress=[{}])) == ["return", "drop"]
    everywhere = [{"namespaceSelector": {}}]
    assert rules_of(policy(ingress=[{"from": everywhere}])) == [
        "ip saddr { 10.75.0.2, 10.75.0.3, 10.75.0.4 } return",
        "drop",
    ]


@pytest.mark.parametrize(
    ("port", "rule"),
    [
        ({"port": 80}, "tcp dport 80 return"),
        ({"port": 53, "protocol": "UDP"}, "udp dport 53 return"),
        ({"port": 8000, "endPort": 8010}, "tcp dport 8000-8010 return"),
        ({"protocol": "SCTP"}, "meta l4proto sctp return"),
        ({"port": "web"}, "ip daddr 10.75.0.2 tcp dport 8080 return"),
    ],
)
def test_ports(port: dict[str, Any], rule: str) -> None:
    assert rules_of(policy(ingress=[{"ports": [port]}])) == [rule, "drop"]


def test_a_port_name_that_no_container_has_lets_nobody_in() -> None:
    assert rules_of(policy(ingress=[{"ports": [{"port": "none"}]}])) == ["drop"]


@pytest.mark.parametrize(
    ("block", "rules"),
    [
        ({"cidr": "192.0.2.9/24"}, ["ip daddr { 192.0.2.0/24 } return"]),
        ({"cidr": "0.0.0.0/0"}, ["return"]),
        (
            {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "10.75.0.0/16"]},
            ["ip daddr != 10.0.0.0/8 ip daddr != 10.75.0.0/16 return"],
        ),
        ({"cidr": "2001:db8::/32"}, []),
    ],
)
def test_address_blocks(block: dict[str, Any], rules: list[str]) -> None:
    allow = policy(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}])
    assert rules_of(allow, chain="egress_10_75_0_2") == [*rules, "drop"]
    assert rules_of(allow) is None, "a policy of what goes out says nothing of what comes in"


def test_a_policy_without_types_is_about_egress_only_if_it_says_so() -> None:
    assert rules_of(policy(), chain="egress_10_75_0_2") is None
    assert rules_of(policy(egress=[{}]), chain="egress_10_75_0_2") == ["return", "drop"]


@pytest.mark.parametrize(
    ("operator", "values", "chosen"),
    [
        ("In", ["web", "db"], True),
        ("In", ["db"], False),
        ("NotIn", ["db"], True),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
        ("Unheard", [], False),
    ],
)
def test_label_expressions(operator: str, values: list[str], chosen: bool) -> None:
    selector = {"matchExpressions": [{"key": "app", "operator": operator, "values": values}]}
    assert selects(selector, {"app": "web"}) is chosen


def test_label_expressions_on_a_label_that_is_not_there() -> None:
    for operator, chosen in (("In", False), ("NotIn", True), ("DoesNotExist", True)):
        expression = {"key": "none", "operator": operator, "values": ["x"]}
        assert selects({"matchExpressions": [expression]}, {"app": "web"}) is chosen


def test_an_address_that_no_pod_is_known_to_have_gets_nothing() -> None:
    ended = pod("job", "10.75.0.5")
    ended["status"]["phase"] = "Succeeded"
    text = table(Cluster([WEB, ended], NAMESPACES, []), PODS_RANGE)
    assert "ip daddr 10.75.0.0/16 ip daddr != { 10.75.0.2 } drop" in text
    assert "10.75.0.5" not in text
    assert "ip saddr 10.75.0.0/16 drop" in table(Cluster([], [], []), PODS_RANGE)


def test_an_address_that_two_pods_claim_belongs_to_neither() -> None:
    twice = [WEB, pod("old", "10.75.0.2", app="db"), DATABASE]
    text = table(Cluster(twice, NAMESPACES, [policy()]), PODS_RANGE)
    assert "!= { 10.75.0.3 } drop" in text
    assert "ingress_10_75_0_2" not in text
