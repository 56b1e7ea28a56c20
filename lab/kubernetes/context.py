"""What every part of one cluster is told: settings, folders, decisions, ports, programs."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from lab import ports
from lab.kubernetes.api import Api
from lab.kubernetes.authority import Authority
from lab.kubernetes.paths import Paths
from lab.kubernetes.record import Record
from lab.settings import KubernetesRanges, Settings

NODE_NAME = "node-1"
CLUSTER_DOMAIN = "cluster.local"


@dataclass(frozen=True)
class Context:
    """One cluster; `programs` is the folder of the built binaries."""

    settings: Settings
    paths: Paths
    record: Record
    programs: Path

    @property
    def ports(self) -> dict[str, int]:
        return ports.numbers(self.settings.ports, self.record.port_offset)

    @property
    def ranges(self) -> KubernetesRanges:
        return self.settings.kubernetes.ranges

    @property
    def machine_address(self) -> IPv4Address:
        """This machine's end of the link to the node."""
        return self.ranges.node_link[1]

    @property
    def node_address(self) -> IPv4Address:
        return self.ranges.node_link[2]

    @property
    def api_service_address(self) -> IPv4Address:
        """Of the Service `kubernetes`: the first of its range, by Kubernetes' own rule."""
        return self.ranges.services[1]

    @property
    def authority(self) -> Authority:
        return Authority(self.paths.pki)

    def url(self, port: str) -> str:
        """Of a server on loopback, by its name in the settings' ports."""
        return f"https://{ports.LOOPBACK}:{self.ports[port]}"

    def api(self, port: str = "kubernetes_api") -> Api:
        """The administrator's way in."""
        certificate, key = self.authority.pair("admin")
        return Api(self.url(port), self.authority.certificate, certificate, key)
