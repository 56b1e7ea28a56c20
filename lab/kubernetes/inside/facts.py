"""What the processes inside the node's namespaces are told, as one JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

#: The node's end of its link to the machine.
UPLINK = "uplink"


@dataclass(frozen=True)
class Facts:
    """Addresses, ranges and folders are texts, so that they survive the way through JSON."""

    node_name: str
    node_address: str
    machine_address: str
    link_prefix: int
    pods: str
    services: str
    cluster_domain: str
    pause_image: str
    api_port: int
    #: What the gateway passes on to this machine's loopback, the API server among it.
    gateway_ports: tuple[int, ...]
    #: The gateway opens its sockets as root and then serves as this user; None: it stays root.
    gateway_uid: int | None
    gateway_gid: int | None
    cgroup: str
    snapshotter: str
    folder: str
    programs: str
    log_folder: str
    authority: str
    kubelet_certificate: str
    kubelet_key: str
    reader_certificate: str
    reader_key: str
    volumes_certificate: str
    volumes_key: str
    #: Of kubelet, kube-proxy and the reader `coredns`, by those names.
    kubeconfigs: dict[str, str]
    #: What must stay visible below the folders that the node covers with its own.
    kept_folders: tuple[str, ...]

    @property
    def api_url(self) -> str:
        """The API server as seen from inside: through the gateway."""
        return f"https://{self.node_address}:{self.api_port}"

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Facts:
        raw = json.loads(file.read_text(encoding="utf-8"))
        for name in ("gateway_ports", "kept_folders"):
            raw[name] = tuple(raw[name])
        return cls(**raw)
