"""Configuration files and command lines of the node's programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lab.kubernetes.inside.facts import Facts

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
FACTS_FILE = "facts.json"


def command(facts: Facts, name: str, outside: int) -> list[str]:
    """What starts `name`, program first; `outside` is the descriptor that the gateway is told."""
    folder, programs = Path(facts.folder), Path(facts.programs)
    own_code = [sys.executable, "-m", f"lab.kubernetes.inside.{name}", str(folder / FACTS_FILE)]
    return {
        "containerd": [str(programs / "containerd"), f"--config={folder / 'containerd.toml'}"],
        "gateway": [*own_code, str(outside)],
        "policy": own_code,
        "volumes": own_code,
        "kubelet": [
            str(programs / "kubelet"),
            f"--config={folder / 'kubelet.json'}",
            f"--kubeconfig={facts.kubeconfigs['kubelet']}",
            f"--hostname-override={facts.node_name}",
            f"--node-ip={facts.node_address}",
            f"--root-dir={folder / 'kubelet'}",
        ],
        "kube-proxy": [str(programs / "kube-proxy"), f"--config={folder / 'kube-proxy.json'}"],
        "coredns": [str(programs / "coredns"), "-conf", str(folder / "Corefile")],
    }[name]


def configure(facts: Facts) -> None:
    """Writes every configuration file below the node's folder."""
    folder = Path(facts.folder)
    (folder / "cni").mkdir(exist_ok=True)
    _write(folder / "cni" / "10-lab.conflist", _cni(facts))
    _write(folder / "kubelet.json", _kubelet(facts))
    _write(folder / "kube-proxy.json", _kube_proxy(facts))
    (folder / "containerd.toml").write_text(_containerd(facts), encoding="utf-8")
    (folder / "Corefile").write_text(_corefile(facts), encoding="utf-8")


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")  # JSON is YAML


def _cni(facts: Facts) -> dict[str, Any]:
    """A routed link for each pod: all its traffic passes the node's forward hook, where the
    policies are, and no bridge is needed."""
    addresses = {
        "type": "host-local",
        # Kept, so that no pod gets the address that another had before a restart of the node.
        "dataDir": f"{facts.folder}/cni/addresses",
        "ranges": [[{"subnet": facts.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    link = {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": addresses}
    return {"cniVersion": "1.0.0", "name": "lab", "plugins": [link]}


def _containerd(facts: Facts) -> str:
    folder = Path(facts.folder)
    unused = ("btrfs", "zfs", "devmapper", "blockfile", "erofs")
    disabled = [f"io.containerd.snapshotter.v1.{name}" for name in unused]
    return f"""\
version = 3
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = {json.dumps([*disabled, "io.containerd.nri.v1.nri"])}

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/containerd/opt"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "{facts.snapshotter}"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{facts.pause_image}"

[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  # A machine may lack CAP_SYS_RESOURCE: then no process lowers its oom_score_adj.
  restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{facts.programs}"]
  conf_dir = "{folder}/cni"
"""


def _kubelet(facts: Facts) -> dict[str, Any]:
    folder = Path(facts.folder)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": facts.node_address,
        "readOnlyPort": 0,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": facts.authority},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": facts.kubelet_certificate,
        "tlsPrivateKeyFile": facts.kubelet_key,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{facts.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "protectKernelDefaults": True,
        "clusterDomain": facts.cluster_domain,
        "clusterDNS": [facts.node_address],
        "resolvConf": "",
        "podLogsDir": str(folder / "pod-logs"),
        "containerLogMaxSize": "5Mi",
        "containerLogMaxFiles": 2,
        "volumePluginDir": str(folder / "volume-plugins"),
        # Between looks at what volumes hold, and up to twice as long: a lab has few, and somebody
        # who fills one should see it.
        "volumeStatsAggPeriod": "10s",
        # Images are not pulled from anywhere, so none is ever to be thrown away.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
    }


def _kube_proxy(facts: Facts) -> dict[str, Any]:
    # Zero: leave the kernel's connection tracking as it is.
    untouched = ("tcpEstablishedTimeout", "tcpCloseWaitTimeout", "udpTimeout", "udpStreamTimeout")
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": facts.kubeconfigs["kube-proxy"]},
        "hostnameOverride": facts.node_name,
        "clusterCIDR": facts.pods,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": {"maxPerCore": 0, "min": 0, **dict.fromkeys(untouched, "0s")},
    }


def _corefile(facts: Facts) -> str:
    """Names of the cluster; every other name is refused, since nothing else can be reached."""
    return f"""\
{facts.cluster_domain} {{
  bind {facts.node_address}
  errors
  cache 5
  kubernetes {facts.cluster_domain} {{
    kubeconfig {facts.kubeconfigs["coredns"]} lab
  }}
}}
"""
