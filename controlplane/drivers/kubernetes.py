"""One Kubernetes cluster, by a kubeconfig of the platform's own and the kubernetes client.

Runs never see that kubeconfig. Each is given tokens of its own that end soon after it: one of the
account `provisioner`, and one of the account that works in the department's namespace alone.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import urllib3.exceptions
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.utils.quantity import parse_quantity

from controlplane.access import Access, OwnServer, PodLog
from controlplane.drivers.inventory import hosts_of
from controlplane.drivers.kubernetes_logs import (
    LOGGED_SERVERS,
    RESOURCE_LABEL,
    log_hosts,
    log_tools_of,
)
from controlplane.drivers.kubernetes_use import disk_readings_of, readings_of
from controlplane.drivers.server_logs import LOGS
from controlplane.engines import KUBERNETES
from controlplane.errors import CloudRefused, CloudUnavailable
from controlplane.readings import DiskReading, Measured, UseReading

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

API_TIMEOUT_SECONDS = 15
PROBE_TIMEOUT_SECONDS = 5
KUBECONFIG = "kubeconfig"
#: Read by kubernetes.core's modules and by kubectl.
VARIABLES = {"K8S_AUTH_KUBECONFIG": KUBECONFIG, "KUBECONFIG": KUBECONFIG}

#: The platform's own namespace and the account that runs sign in as; made at first use.
PLATFORM_NAMESPACE = "egov-platform"
PROVISIONER = "provisioner"
#: In each department's namespace, made by onboarding: whatever is delivered there, it does.
WORKER = "egov-worker"
#: The cluster's own controller writes an account's token, a moment after its Secret is made.
TOKEN_PATIENCE_SECONDS = 10
#: The API server grants no token for less than ten minutes.
TOKEN_MARGIN_SECONDS = 600

#: Of the inventory: what plays are told of the cluster.
INVENTORY_HOST = "kubernetes"
ZONE_LABEL = "topology.kubernetes.io/zone"
MIB = 2**20
NOT_FOUND, CONFLICT = 404, 409


def _speaks_our_errors(function: Callable[P, R]) -> Callable[P, R]:
    """The client's errors as CloudUnavailable (try again) or CloudRefused (do not)."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except ApiException as error:
            status = error.status or 0
            kind = CloudUnavailable if status >= 500 or status in (0, 408, 429) else CloudRefused
            raise kind(reason=f"HTTP {status}: {error.reason}"[:500]) from error
        except (urllib3.exceptions.HTTPError, ConfigException, OSError) as error:
            raise CloudUnavailable(reason=str(error)[:500]) from error

    return wrapped


class KubernetesCloud:
    """`kubeconfig` is the platform administrator's; `inventory` is what plays are told of the
    cluster (see docs/operations.md); `run_seconds` how long a run may take at most."""

    def __init__(self, kubeconfig: Path, inventory: Path | None, run_seconds: int) -> None:
        self._kubeconfig = kubeconfig
        self._inventory = inventory
        self._token_seconds = run_seconds + TOKEN_MARGIN_SECONDS
        self._known: tuple[float, client.ApiClient] | None = None

    # --- for playbooks --------------------------------------------------------------------------

    @_speaks_our_errors
    def run_access(self, project: str) -> Access:
        """A kubeconfig with the contexts `admin` and, once it is onboarded, `department`."""
        tokens = {"admin": self._provisioner_token()}
        try:
            tokens["department"] = self._token(project, WORKER)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
        content = kubeconfig_of(
            self._api().configuration, tokens, namespaces={"department": project}
        )
        return Access({KUBECONFIG: content}, VARIABLES, self._inventory)

    def _provisioner_token(self) -> str:
        try:
            return self._token(PLATFORM_NAMESPACE, PROVISIONER)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
        self._make_provisioner()
        return self._token(PLATFORM_NAMESPACE, PROVISIONER)

    def _token(self, namespace: str, account: str) -> str:
        answer = client.CoreV1Api(self._api()).create_namespaced_service_account_token(
            account,
            namespace,
            client.AuthenticationV1TokenRequest(
                spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=self._token_seconds)
            ),
            _request_timeout=API_TIMEOUT_SECONDS,
        )
        assert answer.status is not None
        return str(answer.status.token)

    def _make_provisioner(self) -> None:
        """It makes namespaces, quotas and rights, so it must itself hold every right."""
        core = client.CoreV1Api(self._api())
        rights = client.RbacAuthorizationV1Api(self._api())
        labels = {"app.kubernetes.io/managed-by": "egov"}
        name = f"{PLATFORM_NAMESPACE}-{PROVISIONER}"
        subject = {"kind": "ServiceAccount", "name": PROVISIONER, "namespace": PLATFORM_NAMESPACE}
        role = {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        }
        account = {"metadata": {"name": PROVISIONER, "labels": labels}}
        binding = {"metadata": {"name": name, "labels": labels}, "roleRef": role}
        _made(core.create_namespace, {"metadata": {"name": PLATFORM_NAMESPACE, "labels": labels}})
        _made(core.create_namespaced_service_account, PLATFORM_NAMESPACE, account)
        _made(rights.create_cluster_role_binding, {**binding, "subjects": [subject]})

    # --- answering at all -----------------------------------------------------------------------

    @_speaks_our_errors
    def check(self, _service: str = "") -> None:
        """Errors: CloudUnavailable when the API server does not answer."""
        client.VersionApi(self._api()).get_code(_request_timeout=PROBE_TIMEOUT_SECONDS)

    # --- secrets that the cluster issues --------------------------------------------------------

    @_speaks_our_errors
    def issued_secrets(self, outputs: Mapping[str, Any]) -> dict[str, str]:
        """The token of the account that a run has made, read past Ansible and its files.

        `outputs`: `account_namespace`, `token_secret`. Errors: CloudUnavailable while the cluster
        has not written it yet.
        """
        deadline = time.monotonic() + TOKEN_PATIENCE_SECONDS
        while True:
            secret = client.CoreV1Api(self._api()).read_namespaced_secret(
                outputs["token_secret"],
                outputs["account_namespace"],
                _request_timeout=API_TIMEOUT_SECONDS,
            )
            if token := (secret.data or {}).get("token"):
                return {"token": base64.b64decode(token).decode("ascii")}
            if time.monotonic() > deadline:
                raise CloudUnavailable(reason=f"no token in {outputs['token_secret']} yet")
            time.sleep(0.1)

    # --- reading --------------------------------------------------------------------------------

    @_speaks_our_errors
    def pool_facts(self, availability_zone: str) -> tuple[dict[str, int], list[dict[str, str]]]:
        """What the zone's nodes have for pods, by dimension; images are not chosen here.

        CPU times the allocation ratio that the inventory declares, as requests are made smaller by
        it. A cluster none of whose nodes names a zone serves every zone with all of them.
        """
        nodes = client.CoreV1Api(self._api()).list_node(_request_timeout=API_TIMEOUT_SECONDS).items
        return allocatable(nodes, availability_zone, self._cpu_allocation_ratio()), []

    @_speaks_our_errors
    def use_readings(self) -> dict[str, UseReading]:
        """What each resource's pods use now, by resource id; a node that does not answer tells
        nothing of its pods. Errors: CloudUnavailable, CloudRefused."""
        core: Any = client.CoreV1Api(self._api())
        asked = {"label_selector": RESOURCE_LABEL, "_request_timeout": API_TIMEOUT_SECONDS}
        by_pod = {
            (pod.metadata.namespace, pod.metadata.name): pod.metadata.labels[RESOURCE_LABEL]
            for pod in core.list_pod_for_all_namespaces(**asked).items
        }
        by_namespace = {
            namespace.metadata.name: namespace.metadata.labels[RESOURCE_LABEL]
            for namespace in core.list_namespace(**asked).items
        }
        return readings_of(self._summaries(core), by_pod, by_namespace)

    @_speaks_our_errors
    def disk_readings(self, _resources: Sequence[Measured]) -> dict[str, DiskReading]:
        """How full each resource's volume is, by resource id; of one that nothing runs on now its
        kubelet tells nothing. Errors: CloudUnavailable, CloudRefused."""
        core: Any = client.CoreV1Api(self._api())
        claimed = core.list_persistent_volume_claim_for_all_namespaces(
            label_selector=RESOURCE_LABEL, _request_timeout=API_TIMEOUT_SECONDS
        )
        claims = {
            (claim.metadata.namespace, claim.metadata.name): (
                claim.metadata.labels[RESOURCE_LABEL],
                int(parse_quantity(claim.spec.resources.requests["storage"])),  # type: ignore[no-untyped-call]
            )
            for claim in claimed.items
        }
        return disk_readings_of(self._summaries(core), claims) if claims else {}

    def _summaries(self, core: Any) -> list[dict[str, Any]]:
        nodes = core.list_node(_request_timeout=API_TIMEOUT_SECONDS).items
        return [self._summary(core, node.metadata.name) for node in nodes]

    def _summary(self, core: Any, node: str) -> dict[str, Any]:
        """What the kubelet of a node tells of its pods, by way of the API server."""
        try:
            answer = core.connect_get_node_proxy_with_path(
                node, "stats/summary", _preload_content=False, _request_timeout=API_TIMEOUT_SECONDS
            )
        except ApiException as error:
            log.warning("the kubelet of %s tells nothing: HTTP %s", node, error.status)
            return {}
        return dict(json.loads(answer.data))

    @_speaks_our_errors
    def logs(self, own: Collection[OwnServer]) -> dict[str, Callable[[str, str], Any]]:
        """Of those of `own` that run here, by resource id. Errors: CloudUnavailable,
        CloudRefused."""
        told = hosts_of(self._inventory).get(INVENTORY_HOST, {}) if self._inventory else {}
        here = [each for each in own if each.engine == KUBERNETES]
        if not log_tools_of(told) or not here:
            return {}
        core: Any = client.CoreV1Api(self._api())
        apps: Any = client.AppsV1Api(self._api())
        asked = {"label_selector": LOGGED_SERVERS, "_request_timeout": API_TIMEOUT_SECONDS}
        declared = apps.list_stateful_set_for_all_namespaces(**asked)
        secrets = core.list_secret_for_all_namespaces(**asked)
        hosts = log_hosts(here, declared.items, secrets.items, told)
        return {
            each.resource_id: partial(LOGS[each.service], hosts[each.resource_id])
            for each in here
            if each.resource_id in hosts
        }

    def _cpu_allocation_ratio(self) -> float:
        hosts = hosts_of(self._inventory).values() if self._inventory else ()
        ratios = [host.get("kubernetes_cpu_allocation_ratio", 1) for host in hosts]
        return float(max(ratios, default=1))

    @_speaks_our_errors
    def pod_logs(
        self, namespace: str, resource_id: str, *, lines: int, limit_bytes: int, pods: int
    ) -> list[PodLog]:
        """The end of what each pod of a resource has written, the newest pod first."""
        core = client.CoreV1Api(self._api())
        found: list[Any] = core.list_namespaced_pod(
            namespace,
            label_selector=f"{RESOURCE_LABEL}={resource_id}",
            _request_timeout=API_TIMEOUT_SECONDS,
        ).items
        found.sort(key=lambda pod: pod.metadata.creation_timestamp, reverse=True)
        return [self._log_of(core, pod, lines, limit_bytes) for pod in found[:pods]]

    def _log_of(self, core: Any, pod: Any, lines: int, limit_bytes: int) -> PodLog:
        statuses = pod.status.container_statuses or []
        try:
            # As bytes: what an application writes need not be UTF-8.
            answer = core.read_namespaced_pod_log(
                pod.metadata.name,
                pod.metadata.namespace,
                container=pod.spec.containers[0].name,
                tail_lines=lines,
                limit_bytes=limit_bytes,
                _preload_content=False,
                _request_timeout=API_TIMEOUT_SECONDS,
            )
            text = answer.data.decode("utf-8", "replace")
        except ApiException as error:
            if error.status not in (400, NOT_FOUND):  # it has not begun, or has gone meanwhile
                raise
            text = ""
        return PodLog(
            pod=pod.metadata.name,
            is_ready=bool(statuses) and all(status.ready for status in statuses),
            restarts=sum(status.restart_count for status in statuses),
            text=text,
            is_cut=len(text.encode()) >= limit_bytes or text.count("\n") >= lines,
        )

    # --- the client -----------------------------------------------------------------------------

    def _api(self) -> client.ApiClient:
        """Made anew when the kubeconfig is another: certificates and addresses change."""
        changed_at = self._kubeconfig.stat().st_mtime
        if self._known is None or self._known[0] != changed_at:
            made = config.new_client_from_config(  # type: ignore[no-untyped-call]
                str(self._kubeconfig)
            )
            made.configuration.retries = False
            self._known = (changed_at, made)
        return self._known[1]


def allocatable(nodes: Iterable[Any], availability_zone: str, cpu_ratio: float) -> dict[str, int]:
    """`vcpu` and `memory_mib` of the nodes of a zone that take pods."""
    takers = [node for node in nodes if not node.spec.unschedulable]
    labelled = [node for node in takers if ZONE_LABEL in (node.metadata.labels or {})]
    chosen = [n for n in labelled if n.metadata.labels[ZONE_LABEL] == availability_zone]
    mine = chosen if labelled else takers
    cpus = sum(_quantity(node, "cpu") for node in mine)
    memory = sum(_quantity(node, "memory") for node in mine)
    return {"vcpu": int(cpus * cpu_ratio), "memory_mib": int(memory / MIB)}


def _quantity(node: Any, resource: str) -> float:
    return float(parse_quantity(node.status.allocatable[resource]))  # type: ignore[no-untyped-call]


def kubeconfig_of(
    configuration: Any, tokens: Mapping[str, str], namespaces: Mapping[str, str]
) -> dict[str, Any]:
    """A kubeconfig with a context for each token; `admin` is the current one."""
    authority = base64.b64encode(Path(configuration.ssl_ca_cert).read_bytes()).decode("ascii")
    cluster = {"server": configuration.host, "certificate-authority-data": authority}
    contexts = {
        name: {"cluster": "egov", "user": name, "namespace": namespaces.get(name, "default")}
        for name in tokens
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "admin",
        "clusters": [{"name": "egov", "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}} for name, token in tokens.items()],
        "contexts": [{"name": name, "context": context} for name, context in contexts.items()],
    }


def _made(create: Callable[..., Any], *arguments: Any) -> None:
    """Creates what is not there yet: another worker may have been quicker."""
    try:
        create(*arguments, _request_timeout=API_TIMEOUT_SECONDS)
    except ApiException as error:
        if error.status != CONFLICT:
            raise
