"""The data plane's network namespace, its one link to the host, and the routes that fence it in.

Lab ranges exist only while the namespace does; without a route of their own, packets to them would
take the machine's default route, where a stranger may answer. So every range has an `unreachable`
route of the highest metric from before its first use until after its last (`fence`, `unfence`).
"""

from __future__ import annotations

import sys
from pathlib import Path

from lab import ranges
from lab.openstack.dataplane.commands import inside, namespace_id, succeeds
from lab.openstack.dataplane.layout import Layout
from lab.tool import run

OFFLOAD_SCRIPT = Path(__file__).with_name("offload.py")

# The host reaches guests and sees their answers; a guest opens nothing towards the host, and the
# namespace has no default route. Pings of the gateway are answered, for those who look for a fault.
_FIREWALL = """
table ip lab {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "host0" oifname "br-ex" accept
  }
  chain input {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state established,related accept
    icmp type echo-request accept
  }
}
"""


def check_ranges(layout: Layout) -> None:
    """Raises LabError where a lab range means something on this machine already."""
    ranges.check(layout.ranges, own=[layout.veth])


def fence(layout: Layout) -> None:
    """Make every lab range unreachable by any other way than the lab's own."""
    for lab_range in layout.lab_ranges:
        run(["ip", "route", "replace", "unreachable", str(lab_range), *_metric(layout)])


def unfence(layout: Layout) -> None:
    """Take the fallback routes away: only once nothing can use the ranges any more."""
    for lab_range in layout.lab_ranges:
        run(["ip", "route", "del", "unreachable", str(lab_range), *_metric(layout)], check=False)


def is_fenced(layout: Layout) -> bool:
    """Whether every lab range has its fallback route."""
    table = run(["ip", "-4", "route", "show", "type", "unreachable"])
    present = {
        line.split()[1] for line in table.splitlines() if str(layout.fallback_metric) in line
    }
    return present >= {str(lab_range) for lab_range in layout.lab_ranges}


def _metric(layout: Layout) -> list[str]:
    return ["metric", str(layout.fallback_metric)]


def up(layout: Layout) -> None:
    """Create the namespace and the link into it; a namespace that is there already stays.

    Raises LabError if a lab range is in use on this machine.
    """
    check_ranges(layout)
    fence(layout)
    if namespace_id(layout) is None:
        layout.folder.mkdir(parents=True, exist_ok=True)
        layout.namespace_file.touch()
        # Bound to a file of ours rather than made by `ip netns add`, which leaves a mount on /run
        # and takes a name other copies of the lab could want.
        run(["unshare", f"--net={layout.namespace_file}", "true"])
        _furnish(layout)
    if not succeeds(["ip", "link", "show", layout.veth]):
        _link(layout)


def _furnish(layout: Layout) -> None:
    run(inside(layout, ["ip", "link", "set", "lo", "up"]))
    # A process in the namespace sees the namespace's own values below /proc/sys/net.
    for key in ("ipv4/ip_forward", "ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6"):
        script = f"if [ -e /proc/sys/net/{key} ]; then echo 1 > /proc/sys/net/{key}; fi"
        run(inside(layout, ["sh", "-c", script]))
    run(inside(layout, ["nft", "-f", "-"]), stdin=_FIREWALL)


def _link(layout: Layout) -> None:
    """The veth pair, and the one route by which the host reaches floating addresses."""
    veth = layout.veth
    peer = ["peer", "name", "host0", "netns", layout.namespace_file]
    run(["ip", "link", "add", veth, "type", "veth", *peer])
    if (ipv6 := Path(f"/proc/sys/net/ipv6/conf/{veth}/disable_ipv6")).exists():
        ipv6.write_text("1")
    prefix = layout.ranges.host_link.prefixlen
    own = f"{layout.namespace_address}/{prefix}"
    run(inside(layout, ["ip", "addr", "add", own, "dev", "host0"]))
    run(inside(layout, ["ip", "link", "set", "host0", "up"]))
    run([sys.executable, OFFLOAD_SCRIPT, veth])
    offload(layout, "host0")
    run(["ip", "addr", "add", f"{layout.host_address}/{prefix}", "dev", veth])
    run(["ip", "link", "set", veth, "up"])
    route = ["ip", "route", "replace", str(layout.ranges.external)]
    run([*route, "via", str(layout.namespace_address), "dev", veth])


def offload(layout: Layout, link: str) -> None:
    """Turn the offloads of a link inside the namespace off."""
    run(inside(layout, [sys.executable, OFFLOAD_SCRIPT, link]))


def down(layout: Layout) -> None:
    """Remove link and namespace; the fence stays until `unfence`."""
    # Removing one end takes the peer, its addresses and the route along.
    run(["ip", "link", "del", layout.veth], check=False)
    while namespace_id(layout) is not None:
        run(["umount", "-n", layout.namespace_file])  # -n: keeps no table below /run
    layout.namespace_file.unlink(missing_ok=True)


def leads_to_lab(layout: Layout, address: str) -> bool:
    """Whether the kernel would send a packet for `address` into the lab's own link now."""
    way = run(["ip", "route", "get", address], check=False)
    return f" dev {layout.veth} " in way
