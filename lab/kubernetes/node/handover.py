"""What of a cluster the processes inside the node's namespaces are told."""

from __future__ import annotations

import sys
from pathlib import Path

from lab import unprivileged
from lab.kubernetes.context import CLUSTER_DOMAIN, NODE_NAME, Context
from lab.kubernetes.credentials import READER, VOLUMES, kubeconfig
from lab.kubernetes.inside.facts import Facts
from lab.kubernetes.paths import Paths
from lab.settings import CHECKOUT

PAUSE_IMAGE = "lab.local/pause:1"


def cgroup_of(paths: Paths) -> str:
    """Name of the lab's own folder in each cgroup hierarchy."""
    return f"lab-kubernetes-{paths.tag}"


def facts_of(context: Context, snapshotter: str) -> Facts:
    """`snapshotter` is how containerd lays images over one another here."""
    settings, paths, ranges = context.settings, context.paths, context.ranges
    user = unprivileged.as_root_or(settings.unprivileged_user, needs_root=False)
    reached = [context.ports[name] for name in settings.kubernetes.pods_reach]
    kubelet, kubelet_key = context.authority.pair("kubelet")
    reader, reader_key = context.authority.pair(READER)
    volumes, volumes_key = context.authority.pair(VOLUMES)
    names = {"kubelet": "kubelet", "kube-proxy": "kube-proxy", "coredns": READER}
    return Facts(
        node_name=NODE_NAME,
        node_address=str(context.node_address),
        machine_address=str(context.machine_address),
        link_prefix=ranges.node_link.prefixlen,
        pods=str(ranges.pods),
        services=str(ranges.services),
        cluster_domain=CLUSTER_DOMAIN,
        pause_image=PAUSE_IMAGE,
        api_port=context.ports["kubernetes_api"],
        gateway_ports=(context.ports["kubernetes_api"], *reached),
        gateway_uid=user.uid,
        gateway_gid=user.gid,
        cgroup=cgroup_of(paths),
        snapshotter=snapshotter,
        folder=str(paths.node),
        programs=str(context.programs),
        log_folder=str(paths.log_folder),
        authority=str(context.authority.certificate),
        kubelet_certificate=str(kubelet),
        kubelet_key=str(kubelet_key),
        reader_certificate=str(reader),
        reader_key=str(reader_key),
        volumes_certificate=str(volumes),
        volumes_key=str(volumes_key),
        kubeconfigs={name: str(kubeconfig(context, of)) for name, of in names.items()},
        kept_folders=_kept(paths),
    )


def _kept(paths: Paths) -> tuple[str, ...]:
    """State, cache, code and interpreter, each where it really lies."""
    places = [paths.state, paths.made, CHECKOUT, Path(sys.prefix), Path(sys.base_prefix)]
    return tuple(dict.fromkeys(str(place.resolve()) for place in places))
