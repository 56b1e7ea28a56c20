"""This machine's side of the node's network: one veth pair, its routes, and the fence.

Lab ranges exist only while the node does; without a route of their own, packets to them would
take the machine's default route, where a stranger may answer. So every range has an `unreachable`
route of the highest metric from before its first use until after its last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.kubernetes.inside.facts import UPLINK, Facts
from lab.kubernetes.node.commands import run
from lab.kubernetes.paths import Paths

#: Higher than any metric a machine's own routes have, so it counts only when nothing else does.
FALLBACK_METRIC_BASE = 4_100_000_000


@dataclass(frozen=True)
class Link:
    """The names by which one checkout's link and routes are told from another's."""

    name: str
    metric: int

    @classmethod
    def of(cls, paths: Paths) -> Link:
        return cls(f"labk{paths.tag}", FALLBACK_METRIC_BASE + int(paths.tag, 16))


def fence(link: Link, lab_ranges: Iterable[str]) -> None:
    """Makes every lab range unreachable by any other way than the lab's own."""
    for lab_range in lab_ranges:
        run(["ip", "route", "replace", "unreachable", lab_range, "metric", str(link.metric)])


def unfence(link: Link) -> None:
    """Takes the fence away: only once nothing can use the ranges any more."""
    for lab_range in _fenced(link):
        run(["ip", "route", "del", "unreachable", lab_range, "metric", str(link.metric)])


def is_fenced(link: Link, lab_ranges: Iterable[str]) -> bool:
    """Whether every lab range has its fallback route."""
    return _fenced(link) >= set(lab_ranges)


def _fenced(link: Link) -> set[str]:
    table = run(["ip", "-4", "route", "show", "type", "unreachable"])
    lines = [line.split() for line in table.splitlines()]
    return {words[1] for words in lines if str(link.metric) in words}


def connect(link: Link, facts: Facts, pid: int) -> None:
    """Joins the network namespace of process `pid` to this machine; pods and Services are then
    reached by their own addresses."""
    peer = ["peer", "name", UPLINK, "netns", str(pid)]
    run(["ip", "link", "add", link.name, "type", "veth", *peer])
    if (ipv6 := Path(f"/proc/sys/net/ipv6/conf/{link.name}/disable_ipv6")).exists():
        ipv6.write_text("1")
    own = f"{facts.machine_address}/{facts.link_prefix}"
    run(["ip", "addr", "add", own, "dev", link.name])
    run(["ip", "link", "set", link.name, "up"])
    for lab_range in (facts.pods, facts.services):
        run(["ip", "route", "replace", lab_range, "via", facts.node_address, "dev", link.name])


def is_connected(link: Link) -> bool:
    """Whether this machine's end of the pair is there."""
    return Path("/sys/class/net", link.name).exists()


def disconnect(link: Link) -> None:
    """Removes the pair with its addresses and routes; fine where there is none."""
    run(["ip", "link", "del", link.name], check=False)
