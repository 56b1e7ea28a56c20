"""The command line of each program of the control plane."""

from __future__ import annotations

from lab import ports
from lab.kubernetes import credentials
from lab.kubernetes.context import Context

#: Name in the settings' ports and health address of each program that has one.
HEALTH = {
    "kube-apiserver": ("kubernetes_api", "/readyz"),
    "kube-controller-manager": ("kubernetes_controllers", "/healthz"),
    "kube-scheduler": ("kubernetes_scheduler", "/healthz"),
}


def command(context: Context, name: str) -> list[str]:
    """What starts `name`, program first."""
    arguments = {
        "etcd": _etcd,
        "kube-apiserver": _apiserver,
        "kube-controller-manager": _controller_manager,
        "kube-scheduler": _scheduler,
    }[name](context)
    return [str(context.programs / name), *arguments]


def _etcd(context: Context) -> list[str]:
    """Sockets in a folder that only its user enters: neither a port nor certificates."""
    folder = context.paths.etcd
    client, peer = _etcd_url(context), f"unix://{folder / 'peer.sock'}"
    return [
        "--name=lab",
        f"--data-dir={folder / 'data'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=lab={peer}",
        # A lab's objects survive every kill, though not the loss of the machine's power.
        "--unsafe-no-fsync=true",
        "--log-level=warn",
    ]


def _apiserver(context: Context) -> list[str]:
    authority, pki = context.authority, context.paths.pki
    certificate, key = authority.pair("kube-apiserver")
    to_kubelet, to_kubelet_key = authority.pair("kube-apiserver-to-kubelet")
    return [
        f"--etcd-servers={_etcd_url(context)}",
        f"--bind-address={ports.LOOPBACK}",
        f"--secure-port={context.ports['kubernetes_api']}",
        # What pods are told: the node's gateway listens there.
        f"--advertise-address={context.node_address}",
        f"--service-cluster-ip-range={context.ranges.services}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={authority.certificate}",
        "--anonymous-auth=false",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'tokens.pub'}",
        f"--service-account-signing-key-file={pki / 'tokens.key'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-client-certificate={to_kubelet}",
        f"--kubelet-client-key={to_kubelet_key}",
        f"--kubelet-certificate-authority={authority.certificate}",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",  # Pod Security decides by namespace who may
        "--profiling=false",
    ]


def _controller_manager(context: Context) -> list[str]:
    authority = context.authority
    return [
        *_on_loopback(context, "kube-controller-manager"),
        f"--service-account-private-key-file={context.paths.pki / 'tokens.key'}",
        f"--root-ca-file={authority.certificate}",
        f"--cluster-signing-cert-file={authority.certificate}",
        f"--cluster-signing-key-file={authority.key}",
        "--use-service-account-credentials=true",
        # Else they wait for their own limit on questions, some five seconds at every start.
        *("--kube-api-qps=500", "--kube-api-burst=1000"),
        # Else it tries to make one below /usr.
        f"--flex-volume-plugin-dir={context.paths.etcd / 'volume-plugins'}",
    ]


def _scheduler(context: Context) -> list[str]:
    return _on_loopback(context, "kube-scheduler")


def _on_loopback(context: Context, name: str) -> list[str]:
    certificate, key = context.authority.pair(name)
    login = credentials.kubeconfig(context, name)
    return [
        f"--kubeconfig={login}",
        f"--authentication-kubeconfig={login}",
        f"--authorization-kubeconfig={login}",
        # Whom to believe is said here; the lookup would look for a proxy's authority, in vain.
        *(f"--client-ca-file={context.authority.certificate}", "--authentication-skip-lookup=true"),
        f"--bind-address={ports.LOOPBACK}",
        f"--secure-port={context.ports[HEALTH[name][0]]}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        "--leader-elect=false",
        "--profiling=false",
    ]


def _etcd_url(context: Context) -> str:
    return f"unix://{context.paths.etcd / 'client.sock'}"
