"""Who may enter the cluster: certificates of its parts and kubeconfigs, written before a start."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from lab import ports
from lab.kubernetes import authority
from lab.kubernetes.authority import Subject
from lab.kubernetes.context import CLUSTER_DOMAIN, NODE_NAME, Context
from lab.unprivileged import User

#: By Kubernetes' own convention: what this name and this group may do is built in.
ADMINISTRATORS = "system:masters"
NODES = "system:nodes"
#: Of the node's name server and policies: reads, and nothing secret.
READER = "lab-node-reader"
#: Of the node's volumes: makes and removes them, and reads who claims them.
VOLUMES = "lab-node-volumes"

ON_LOOPBACK = ("kube-controller-manager", "kube-scheduler")
ON_NODE = ("kubelet", "kube-proxy", READER)


def subjects(context: Context) -> dict[str, Subject]:
    """Every certificate of the cluster by its name in the pki folder."""
    service = "kubernetes.default.svc"
    loopback = ("localhost", ports.LOOPBACK)
    node = str(context.node_address)
    api_hosts = (
        *loopback,
        *(node, str(context.api_service_address)),
        *("kubernetes", "kubernetes.default", service, f"{service}.{CLUSTER_DOMAIN}"),
    )
    return {
        "admin": Subject("lab-admin", ADMINISTRATORS),
        "kube-apiserver": Subject("kube-apiserver", hosts=api_hosts),
        "kube-apiserver-to-kubelet": Subject("kube-apiserver-to-kubelet", ADMINISTRATORS),
        **{name: Subject(f"system:{name}", hosts=loopback) for name in ON_LOOPBACK},
        "kubelet": Subject(f"system:node:{NODE_NAME}", NODES, hosts=(NODE_NAME, node)),
        "kube-proxy": Subject("system:kube-proxy"),
        READER: Subject(READER),
        VOLUMES: Subject(VOLUMES),
    }


def write(context: Context, user: User) -> None:
    """Makes what is missing and gives it to the control plane's user; kubeconfigs anew."""
    pki = context.paths.pki
    context.authority.ensure(subjects(context))
    authority.ensure_token_keys(pki / "tokens.key", pki / "tokens.pub")
    inside = f"https://{context.node_address}:{context.ports['kubernetes_api']}"
    for name in ON_LOOPBACK:
        write_kubeconfig(context, name, context.url("kubernetes_api"), kubeconfig(context, name))
    for name in ON_NODE:
        write_kubeconfig(context, name, inside, kubeconfig(context, name))
    for file in pki.iterdir():
        user.give(file)
    # The administrator's stays the caller's own.
    write_kubeconfig(context, "admin", context.url("kubernetes_api"), context.paths.kubeconfig)


def kubeconfig(context: Context, name: str) -> Path:
    """Where the kubeconfig of one of the cluster's parts is."""
    return context.paths.pki / f"{name}.kubeconfig"


def write_kubeconfig(context: Context, name: str, server: str, file: Path) -> None:
    """A kubeconfig with everything in it, for the owner of the certificate `name`."""
    certificate, key = context.authority.pair(name)
    cluster = {"server": server, "certificate-authority-data": _data(context.authority.certificate)}
    login = {"client-certificate-data": _data(certificate), "client-key-data": _data(key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": name, "user": login}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}],
    }
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")  # JSON is YAML


def _data(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
