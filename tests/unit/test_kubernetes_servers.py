"""What a server in the cluster is declared as, proves itself with, and whether its ports answer."""

from __future__ import annotations

import re
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn

import pytest
from cryptography import x509
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from controlplane.config import CHECKOUT
from lab.services import authority

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.kubernetes.plugins.plugin_utils import (
    cluster,
    declared,
    identities,
    reach,
)

DNS, ADDRESS = "redis-1a2b3c.egov-water-internet.svc", "127.0.0.1"


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    authority.ensure(tmp_path)
    return tmp_path


def identity(ca: Path, days: int = 30) -> tuple[str, str]:
    signs = ((ca / "ca.crt").read_bytes(), (ca / "ca.key").read_bytes())
    return identities.made_identity(signs, DNS, ADDRESS, days)


def test_a_client_that_knows_the_authority_accepts_the_server(ca: Path, tmp_path: Path) -> None:
    key, certificate = identity(ca)
    (tmp_path / "server.pem").write_text(key + certificate)
    serves = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serves.load_cert_chain(tmp_path / "server.pem")
    trusts = ssl.create_default_context(cafile=str(ca / "ca.crt"))
    with socket.create_server((ADDRESS, 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with serves.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        with (
            socket.create_connection(listening.getsockname(), 5) as plain,
            trusts.wrap_socket(plain, server_hostname=ADDRESS) as secured,
        ):
            secured.sendall(b".")
        server.join(5)


def test_a_certificate_names_the_server_and_nothing_else(ca: Path) -> None:
    certificate = x509.load_pem_x509_certificate(identity(ca, days=30)[1].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [DNS]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address(ADDRESS)]
    basics = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not basics.ca
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)


def test_each_server_has_a_key_of_its_own(ca: Path) -> None:
    assert identity(ca)[0] != identity(ca)[0]


@pytest.mark.parametrize(("left_days", "near"), [(30, False), (11, False), (10, True), (0, True)])
def test_another_is_drawn_when_a_third_of_its_days_is_left(
    ca: Path, left_days: int, near: bool
) -> None:
    _, certificate = identity(ca, days=left_days)
    assert identities.is_near_its_end(certificate.encode(), 30) is near


@pytest.fixture
def open_port() -> Iterator[int]:
    with socket.create_server((ADDRESS, 0)) as listening:
        yield listening.getsockname()[1]


def closed_port() -> int:
    with socket.create_server((ADDRESS, 0)) as listening:
        return int(listening.getsockname()[1])


def test_ports_that_answer_are_reached(open_port: int) -> None:
    reach.wait_for_ports(ADDRESS, {"redis": open_port}, timeout_s=0)


def test_a_port_that_nobody_answers_on_is_named(open_port: int) -> None:
    shut = closed_port()
    with pytest.raises(reach.UnreachableError, match=f"{ADDRESS}:{shut}"):
        reach.wait_for_ports(ADDRESS, {"amqp": open_port, "management": shut}, timeout_s=0)


TEMPLATES = CHECKOUT / "playbooks" / "roles" / "kubernetes_server" / "templates"


def test_every_kind_of_a_server_can_be_declared() -> None:
    text = (TEMPLATES / "server.yml.j2").read_text(encoding="utf-8")
    kinds = set(re.findall(r"^kind: (\w+)$", text, re.MULTILINE))
    assert kinds <= cluster.KINDS.keys()


@pytest.mark.parametrize("kind", sorted(cluster.KINDS))
def test_each_kind_is_addressed_as_the_client_s_own_classes_do(kind: str) -> None:
    group, noun = cluster.KINDS[kind][0], re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
    classes = {
        "api/v1": client.CoreV1Api,
        "apis/apps/v1": client.AppsV1Api,
        "apis/networking.k8s.io/v1": client.NetworkingV1Api,
    }
    asked = []

    class Asked(client.ApiClient):
        def call_api(self, method: str, url: str, *_: object, **__: object) -> NoReturn:
            asked.append((method, url))
            raise ConnectionError

    typed = classes[group](Asked(client.Configuration(host="")))
    with pytest.raises(ConnectionError):
        getattr(typed, f"read_namespaced_{noun}")("redis-1a2b3c", "egov-water")
    assert asked == [("GET", cluster.address(kind, "egov-water", "redis-1a2b3c"))]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"message": "spec.resources is too small"}', "spec.resources is too small"),
        ("no JSON", "Unprocessable"),
        (None, "Unprocessable"),
    ],
)
def test_what_the_api_server_refuses_is_told_in_its_words(body: str | None, words: str) -> None:
    class Refusing(cluster.Namespace):
        def __init__(self) -> None:
            """Of no cluster."""

        def find(self, *_: str) -> NoReturn:
            error = ApiException(status=422, reason="Unprocessable")
            error.body = body
            raise error

    declares = {"kind": "ConfigMap", "metadata": {"name": "redis-1a2b3c"}}
    with pytest.raises(declared.RefusedError, match=f"ConfigMap redis-1a2b3c: {words}"):
        declared.apply(Refusing(), [declares])


@pytest.mark.parametrize(
    ("definition", "kinds"),
    [
        ("---\nkind: Service\n---\n---\nkind: Secret\n", ["Service", "Secret"]),
        ("", []),
        ({"kind": "Secret"}, ["Secret"]),
        ([{"kind": "Service"}, {"kind": "Secret"}], ["Service", "Secret"]),
    ],
)
def test_objects_are_declared_as_text_as_one_or_as_several(
    definition: Any, kinds: list[str]
) -> None:
    assert [document["kind"] for document in declared.documents_of(definition)] == kinds
