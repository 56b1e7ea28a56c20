"""The peer: servers made by `create_server(wait=True)` of openstacksdk, in a project of theirs."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openstack
import yaml
from openstack.connection import Connection

from benchmarks.orders import IMAGE, SYSTEM_DISK_GIB
from controlplane.drivers.ssh import announced_keys
from lab.city.keys import Key, log_in
from lab.errors import LabError

EXTERNAL_NETWORK = "public"
AVAILABILITY_ZONE = "internet-a"
#: Of the plan `small` with its system disk: as the playbook names it.
FLAVOR = f"gov.1c2048m{SYSTEM_DISK_GIB}d"
TIMEOUT_S = 300
POLL_S = 0.5


class SdkServers:
    """A project with a network like a department's, and servers in it."""

    def __init__(self, clouds_yaml: str, key: Key) -> None:
        text = Path(clouds_yaml).read_text(encoding="utf-8")
        self._entry: Mapping[str, Any] = yaml.safe_load(text)["clouds"]["lab"]
        self._key = key
        self._admin = _connect(self._entry)
        self._name = f"bench-sdk-{uuid.uuid4().hex[:6]}"
        self._set_up()

    def _set_up(self) -> None:
        identity = self._admin.identity
        self._project = identity.create_project(name=self._name, domain_id="default")
        user = identity.find_user(self._entry["auth"]["username"])
        identity.assign_project_role_to_user(self._project, user, identity.find_role("member"))
        tenant = self._tenant()
        network = tenant.network.create_network(name=self._name)
        subnet = tenant.network.create_subnet(
            network_id=network.id, ip_version=4, cidr="10.63.0.0/24", name=self._name
        )
        external = tenant.network.find_network(EXTERNAL_NETWORK)
        router = tenant.network.create_router(
            name=self._name, external_gateway_info={"network_id": external.id}
        )
        tenant.network.add_interface_to_router(router, subnet_id=subnet.id)
        group = tenant.network.create_security_group(name=self._name)
        tenant.network.create_security_group_rule(
            security_group_id=group.id,
            direction="ingress",
            protocol="tcp",
            port_range_min=22,
            port_range_max=22,
        )
        tenant.compute.create_keypair(name=self._name, public_key=self._key.public, type="ssh")
        tenant.close()

    def create(self, count: int) -> float:
        """Seconds until `count` servers, asked for by as many connections at once, are ACTIVE."""
        return self._timed([self._create] * count)

    def create_and_log_in(self) -> float:
        """Seconds until one server has let its owner in over SSH, its host key checked."""
        return self._timed([self._log_in])

    def _timed(self, calls: Sequence[Any]) -> float:
        """From a common start to the last end; signing in is not counted."""
        together = threading.Barrier(len(calls) + 1)

        def run(call: Any) -> None:
            tenant = self._tenant()
            tenant.authorize()
            together.wait()
            call(tenant)
            tenant.close()

        with ThreadPoolExecutor(len(calls)) as pool:
            running = [pool.submit(run, call) for call in calls]
            together.wait()
            started_s = time.perf_counter()
            for future in running:
                future.result()
        return time.perf_counter() - started_s

    def _create(self, tenant: Connection) -> Any:
        server = tenant.create_server(
            f"{self._name}-{uuid.uuid4().hex[:6]}",
            image=IMAGE,
            flavor=FLAVOR,
            network=self._name,
            security_groups=[self._name],
            key_name=self._name,
            availability_zone=AVAILABILITY_ZONE,
            auto_ip=False,
            wait=True,
            timeout=TIMEOUT_S,
        )
        if server.status != "ACTIVE":
            raise LabError(f"the SDK's server ended {server.status}")
        return server

    def _log_in(self, tenant: Connection) -> None:
        server = self._create(tenant)
        external = tenant.network.find_network(EXTERNAL_NETWORK)
        (port,) = tenant.network.ports(device_id=server.id)
        address = tenant.network.create_ip(floating_network_id=external.id, port_id=port.id)
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            console = tenant.compute.get_server_console_output(server.id).get("output") or ""
            keys = announced_keys(console)
            if keys:
                try:
                    log_in(address.floating_ip_address, self._key, keys[0])
                    return
                except LabError:
                    pass  # it announces its key before its SSH server listens
            time.sleep(POLL_S)
        raise LabError(f"no log-in to the SDK's server within {TIMEOUT_S} s")

    def remove_servers(self) -> None:
        """Every server made so far, and its address."""
        tenant = self._tenant()
        for address in tenant.network.ips(project_id=self._project.id):
            tenant.network.delete_ip(address)
        servers = list(tenant.compute.servers())
        for server in servers:
            tenant.compute.delete_server(server)
        for server in servers:
            tenant.compute.wait_for_delete(server, wait=TIMEOUT_S, interval=POLL_S)
        tenant.close()

    def remove(self) -> None:
        """All that this made on the cloud."""
        self.remove_servers()
        tenant = self._tenant()
        tenant.compute.delete_keypair(self._name)
        (router,) = tenant.network.routers(project_id=self._project.id)
        (subnet,) = tenant.network.subnets(project_id=self._project.id)
        tenant.network.remove_interface_from_router(router, subnet_id=subnet.id)
        tenant.network.delete_router(router)
        tenant.network.delete_network(subnet.network_id)
        for group in tenant.network.security_groups(project_id=self._project.id):
            if group.name == self._name:
                tenant.network.delete_security_group(group)
        tenant.close()
        self._admin.identity.delete_project(self._project)
        for group in self._admin.network.security_groups(project_id=self._project.id):
            self._admin.network.delete_security_group(group)
        self._admin.close()

    def _tenant(self) -> Connection:
        return _connect(self._entry, project_name=self._name)


def _connect(entry: Mapping[str, Any], **auth: Any) -> Connection:
    """By this entry alone, and nothing of the caller's environment; `auth` changes the sign-in."""
    return openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        **{**entry, "auth": {**entry["auth"], **auth}},
    )
