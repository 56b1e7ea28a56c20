"""A copy of the lab with real machines, and what a department does with them."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, TypeVar

import openstack
import paramiko
import yaml
from openstack.connection import Connection

from lab import ranges, settings
from lab.errors import LabError

CHECKOUT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 600  # a fresh machine installs packages and services first
HOST_KEY_BLOCK = re.compile(
    r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL
)

HostKey = tuple[str, str]  # type, base64
T = TypeVar("T")


def tried_in_turn(blocks: Iterable[int]) -> Iterable[int]:
    """Workers that begin at the same moment each look at blocks of their own first."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    turned = deque(blocks)
    turned.rotate(-3 * worker)
    return turned


def free_ranges() -> dict[str, str]:
    """Settings for address ranges that nothing on this machine uses, another lab's included."""
    for block in tried_in_turn(range(78, 110, 2)):
        chosen = {
            "LAB_RANGES__HOST_LINK": f"172.30.{block}.0/30",
            "LAB_RANGES__EXTERNAL": f"172.30.{block + 1}.0/24",
            "LAB_RANGES__EXTERNAL_GATEWAY": f"172.30.{block + 1}.1",
            "LAB_RANGES__EXTERNAL_FIRST": f"172.30.{block + 1}.10",
            "LAB_RANGES__EXTERNAL_LAST": f"172.30.{block + 1}.250",
            "LAB_RANGES__TENANTS": f"10.{block}.0.0/16",
        }
        try:
            ranges.check(settings.load(environment=chosen).ranges)
        except LabError:
            continue
        return chosen
    raise AssertionError("no free address ranges for the lab on this machine")


@dataclass
class Lab:
    """One copy of the lab, driven by its command as a person would."""

    home: Path
    overrides: dict[str, str] = field(default_factory=free_ranges)

    @property
    def environment(self) -> dict[str, str]:
        return {"LAB_HOME": str(self.home), "LAB_DATA_PLANE": "real", **self.overrides}

    def settings(self) -> settings.Settings:
        return settings.load(environment=self.environment)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
        return subprocess.run(
            [sys.executable, "-m", "lab.openstack", *arguments],
            cwd=CHECKOUT,
            env=inherited | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_LIMIT_S,
        )

    def must(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return answer

    def connect(self, **auth: str) -> Connection:
        """As the administrator; `auth` changes the sign-in."""
        file = Path(self.status()["clouds_yaml"]).read_text(encoding="utf-8")
        entry = yaml.safe_load(file)["clouds"]["lab"]
        return openstack.connect(
            auth={**entry["auth"], **auth},
            region_name=entry["region_name"],
            load_yaml_config=False,
            load_envvars=False,
        )

    def connect_as_member(self, name: str) -> Connection:
        """As the only person of a project of its own."""
        identity = self.connect().identity
        project = identity.create_project(name=name, domain_id="default")
        user = identity.create_user(name=name, password=name, domain_id="default")
        identity.assign_project_role_to_user(project, user, identity.find_role("member"))
        return self.connect(username=name, password=name, project_name=name)


class Department:
    """A network behind a router, a group that lets the host's SSH in, a keypair, two flavors."""

    def __init__(self, cloud: Connection, lab_ranges: settings.Ranges, subnet: IPv4Network) -> None:
        self.cloud, self.ranges = cloud, lab_ranges
        self.key = paramiko.RSAKey.generate(2048)
        compute, network = cloud.compute, cloud.network
        compute.create_keypair(name="test", public_key=f"ssh-rsa {self.key.get_base64()}")
        self.small, self.large = _flavors(cloud)
        self.external = network.find_network("public")
        self.network = network.create_network(name="test")
        inside = network.create_subnet(
            network_id=self.network.id, name="test", ip_version=4, cidr=str(subnet)
        )
        router = network.create_router(
            name="test", external_gateway_info={"network_id": self.external.id}
        )
        network.add_interface_to_router(router, subnet_id=inside.id)
        self.group = network.create_security_group(name="test")
        self.allow(22)

    def allow(self, port: int, address: str = "") -> None:
        """Let `address`, else the host, reach `port` of the department's machines."""
        self.cloud.network.create_security_group_rule(
            security_group_id=self.group.id,
            direction="ingress",
            ethertype="IPv4",
            protocol="tcp",
            port_range_min=port,
            port_range_max=port,
            remote_ip_prefix=f"{address or self.ranges.host_link[1]}/32",
        )

    def boot(
        self, name: str, pool: str, image: str = "lab-tiny", flavor: Any | None = None
    ) -> Machine:
        """A server with a floating address; returns when it is ACTIVE."""
        compute, network = self.cloud.compute, self.cloud.network
        server = compute.create_server(
            name=name,
            image_id=self.cloud.image.find_image(image).id,
            flavor_id=(flavor or self.small).id,
            networks=[{"uuid": self.network.id}],
            key_name="test",
            security_groups=[{"name": self.group.name}],
            availability_zone=pool,
        )
        machine = Machine(self, server.id)
        machine.wait("ACTIVE")
        port = next(network.ports(device_id=server.id))
        floating = network.create_ip(floating_network_id=self.external.id, port_id=port.id)
        machine.address = floating.floating_ip_address
        return machine


def _flavors(cloud: Connection) -> tuple[Any, Any]:
    """For everybody; the first department's administrator makes them."""
    sizes = {"test.small": (1, 256), "test.large": (2, 512)}
    found = {name: cloud.compute.find_flavor(name) for name in sizes}
    for name, (vcpus, ram) in sizes.items():
        if found[name] is None:
            found[name] = cloud.compute.create_flavor(name=name, vcpus=vcpus, ram=ram, disk=1)
    return found["test.small"], found["test.large"]


@dataclass
class Machine:
    """A server and the way into it."""

    owner: Department
    id: str
    address: str = ""

    @property
    def cloud(self) -> Connection:
        return self.owner.cloud

    def wait(self, status: str) -> None:
        compute = self.cloud.compute
        server = compute.get_server(self.id)
        compute.wait_for_server(server, status, failures=["ERROR"], interval=0.2, wait=120)

    def console(self) -> str:
        output = self.cloud.compute.get_server_console_output(self.id)["output"]
        return str(output or "")

    def host_key(self) -> HostKey:
        """From the console's last whole block: only the server's owner can read it there."""

        def announced() -> HostKey | None:
            blocks = HOST_KEY_BLOCK.findall(self.console())
            found = re.search(r"(ssh-ed25519) (AAAA\S+)", blocks[-1]) if blocks else None
            return (found[1], found[2]) if found else None

        return until(announced, 60, "a host key on the console")

    def login(self, key: HostKey | None, limit_s: float = 60) -> paramiko.SSHClient:
        """SSH that accepts the given host key alone. Refusals are raised at once."""

        def connected() -> paramiko.SSHClient | None:
            client = paramiko.SSHClient()
            client.set_missing_host_key_policy(paramiko.RejectPolicy())
            if key is not None:
                kind, text = key
                public = paramiko.PKey.from_type_string(kind, base64.b64decode(text))
                client.get_host_keys().add(self.address, kind, public)
            try:
                client.connect(
                    self.address,
                    username="root",
                    pkey=self.owner.key,
                    allow_agent=False,
                    look_for_keys=False,
                    timeout=5,
                )
            except (paramiko.BadHostKeyException, paramiko.AuthenticationException):
                raise
            except (OSError, EOFError, paramiko.SSHException) as error:
                client.close()
                if "not found in known_hosts" in str(error):
                    raise
                return None
            return client

        return until(connected, limit_s, f"SSH of {self.address}")

    def sh(self, key: HostKey, command: str) -> str:
        """What `command` prints in the guest, its errors included."""
        client = self.login(key)
        try:
            _, out, err = client.exec_command(command, timeout=30)
            return str((out.read() + err.read()).decode()).strip()
        finally:
            client.close()


def until(ask: Callable[[], T | None], limit_s: float, what: str) -> T:
    """Ask until there is an answer; AssertionError after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while (answer := ask()) is None:
        assert time.monotonic() < deadline, f"{what}: none after {limit_s:.0f} s"
        time.sleep(0.3)
    return answer
