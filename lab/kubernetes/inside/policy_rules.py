"""NetworkPolicies as nftables rules: pure, from the cluster's objects to one table's text.

networking.k8s.io/v1 for IPv4, as its API reference defines it: both directions, selectors of pods
and namespaces, address blocks with exceptions, port ranges, named ports. A policy does not cut
connections that are open already. An address of the pods' range that is not yet known to belong to
a pod gets nothing: a pod is never reachable before its policies are in force.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

TABLE = "lab_policy"
INGRESS, EGRESS = "Ingress", "Egress"
IPV4 = 4
ENDED = ("Succeeded", "Failed")

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Cluster:
    """The objects that policies speak of."""

    pods: Sequence[Object]
    namespaces: Sequence[Object]
    policies: Sequence[Object]

    def networked(self) -> list[Object]:
        """Pods with an address of their own, by address. After a restart of the node one pod may
        still claim what another has now: until that is settled neither has it."""
        found = [
            pod
            for pod in self.pods
            if pod["status"].get("podIP")
            and not pod["spec"].get("hostNetwork")
            and pod["status"].get("phase") not in ENDED
        ]
        claims = Counter(map(address, found))
        return sorted((pod for pod in found if claims[address(pod)] == 1), key=address)

    def labels_of_namespace(self, name: str) -> Object:
        for namespace in self.namespaces:
            if namespace["metadata"]["name"] == name:
                return labels(namespace)
        return {}


def address(pod: Object) -> str:
    return str(pod["status"]["podIP"])


def labels(thing: Object) -> Object:
    return thing["metadata"].get("labels") or {}


def selects(selector: Object, found: Object) -> bool:
    """Whether a label selector takes an object with these labels; an empty one takes all."""
    wanted = selector.get("matchLabels") or {}
    return all(found.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, found) for expression in selector.get("matchExpressions") or []
    )


def _holds(expression: Object, found: Object) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return key in found and found[key] in values
        case "NotIn":
            return key not in found or found[key] not in values
        case "Exists":
            return key in found
        case "DoesNotExist":
            return key not in found
    return False


def table(cluster: Cluster, pods_range: str) -> str:
    """The whole table, replacing the one before in one transaction."""
    pods = cluster.networked()
    chains: list[str] = []
    jumps: dict[str, list[str]] = {INGRESS: [], EGRESS: []}
    for pod in pods:
        for direction, found in jumps.items():
            rules = _rules(pod, direction, cluster)
            if rules is not None:
                name = f"{direction.lower()}_{address(pod).replace('.', '_')}"
                chains.append(_chain(name, [*rules, "drop"]))
                found.append(f"{address(pod)} : jump {name}")
    forward = [
        "type filter hook forward priority filter; policy accept;",
        "ct state established,related accept",
        *_unknown(pods, pods_range),
    ]
    for direction, side in ((EGRESS, "saddr"), (INGRESS, "daddr")):
        if jumps[direction]:
            forward.append(f"ip {side} vmap {{ {', '.join(jumps[direction])} }}")
    body = "".join([*chains, _chain("forward", forward)])
    return f"add table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{body}}}\n"


def _unknown(pods: Sequence[Object], pods_range: str) -> list[str]:
    if not pods:
        return [f"ip {side} {pods_range} drop" for side in ("saddr", "daddr")]
    known = ", ".join(map(address, pods))
    return [
        f"ip {side} {pods_range} ip {side} != {{ {known} }} drop" for side in ("saddr", "daddr")
    ]


def _chain(name: str, rules: Iterable[str]) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {rule}\n" for rule in rules) + "  }\n"


def _rules(pod: Object, direction: str, cluster: Cluster) -> list[str] | None:
    """What may pass for one pod in one direction; None if no policy isolates it there."""
    isolating = [
        policy
        for policy in cluster.policies
        if policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
        and direction in _directions(policy["spec"])
        and selects(policy["spec"].get("podSelector") or {}, labels(pod))
    ]
    if not isolating:
        return None
    return [
        text
        for policy in isolating
        for rule in policy["spec"].get(direction.lower()) or []
        for text in _allowed(rule, direction, pod, cluster)
    ]


def _directions(spec: Object) -> Sequence[str]:
    """By the API's default a policy is about what comes in, and about what goes out if it says
    anything of that."""
    return spec.get("policyTypes") or [INGRESS, *([EGRESS] if spec.get("egress") else [])]


def _allowed(rule: Object, direction: str, pod: Object, cluster: Cluster) -> list[str]:
    side, others = ("saddr", "from") if direction == INGRESS else ("daddr", "to")
    namespace = pod["metadata"]["namespace"]
    found = []
    for peer in rule.get(others) or [None]:
        match = _Match.of(peer, namespace, cluster)
        if match is None:
            continue
        targets = [pod] if direction == INGRESS else match.pods
        found += [
            f"{match.text(side)}{port}return" for port in _ports(rule.get("ports") or [], targets)
        ]
    return found


@dataclass(frozen=True)
class _Match:
    """One peer: the pods it selects, and the addresses it stands for (None: every address)."""

    pods: Sequence[Object]
    addresses: Sequence[str] | None
    excepted: Sequence[str] = ()

    @classmethod
    def of(cls, peer: Object | None, namespace: str, cluster: Cluster) -> _Match | None:
        """None if the peer stands for nobody at present."""
        if peer is None:
            return cls(cluster.networked(), None)
        if block := peer.get("ipBlock"):
            return cls._of_block(block)
        chosen = [
            pod
            for pod in cluster.networked()
            if selects(peer.get("podSelector") or {}, labels(pod))
            and _in_namespace(pod, peer, namespace, cluster)
        ]
        return cls(chosen, [address(pod) for pod in chosen]) if chosen else None

    @classmethod
    def _of_block(cls, block: Object) -> _Match | None:
        networks = [
            ip_network(text, strict=False) for text in (block["cidr"], *(block.get("except") or []))
        ]
        if networks[0].version != IPV4:
            return None  # nobody here has such an address
        whole = networks[0].prefixlen == 0
        return cls([], None if whole else [str(networks[0])], [str(net) for net in networks[1:]])

    def text(self, side: str) -> str:
        parts = []
        if self.addresses is not None:
            parts.append(f"ip {side} {{ {', '.join(self.addresses)} }} ")
        # One by one: nft refuses a set whose members overlap.
        parts += [f"ip {side} != {network} " for network in self.excepted]
        return "".join(parts)


def _in_namespace(pod: Object, peer: Object, namespace: str, cluster: Cluster) -> bool:
    own = pod["metadata"]["namespace"]
    if peer.get("namespaceSelector") is None:
        return bool(own == namespace)
    return selects(peer["namespaceSelector"], cluster.labels_of_namespace(own))


def _ports(ports: Sequence[Object], targets: Sequence[Object]) -> list[str]:
    """A match for each port entry; no entry means every port. `targets` is whose ports are meant
    where a port has a name."""
    if not ports:
        return [""]
    return [text for port in ports for text in _port(port, targets)]


def _port(port: Object, targets: Sequence[Object]) -> list[str]:
    protocol = str(port.get("protocol") or "TCP").lower()
    number = port.get("port")
    if number is None:
        return [f"meta l4proto {protocol} "]
    if isinstance(number, int):
        last = f"-{port['endPort']}" if port.get("endPort") else ""
        return [f"{protocol} dport {number}{last} "]
    return [
        f"ip daddr {address(pod)} {protocol} dport {named['containerPort']} "
        for pod in targets
        for container in pod["spec"]["containers"]
        for named in container.get("ports") or []
        if named.get("name") == number and str(named.get("protocol") or "TCP").lower() == protocol
    ]
