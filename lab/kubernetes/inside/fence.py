"""The node's end of its network, and what may pass it: answers to the machine, and nothing else.

Pods reach one another and the gateway. They open nothing towards the machine or beyond, whatever
the machine forwards; and nobody but the machine itself opens anything towards them.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from lab.kubernetes.inside.facts import UPLINK, Facts

LINK_LIMIT_S = 30.0
# Earlier than kube-proxy's and the policies' chains: an `accept` here leaves the last word to them.
RULES = """\
table inet lab_fence {{
  chain forward {{
    type filter hook forward priority -200; policy accept;
    iifname "{uplink}" ip saddr != {machine} drop
    iifname "{uplink}" meta nfproto ipv6 drop
    oifname "{uplink}" ct state established,related accept
    oifname "{uplink}" drop
  }}
  chain input {{
    type filter hook input priority -200; policy accept;
    iifname "{uplink}" ip saddr != {machine} drop
    iifname "{uplink}" meta nfproto ipv6 drop
  }}
  chain output {{
    type filter hook output priority -200; policy accept;
    oifname "{uplink}" ct state established,related accept
    oifname "{uplink}" drop
  }}
}}
"""


def rules(facts: Facts) -> str:
    """For nft: what passes the uplink."""
    return RULES.format(uplink=UPLINK, machine=facts.machine_address)


def set_up(facts: Facts) -> None:
    """Waits for the link, which the machine makes, and opens it behind the fence."""
    # Per network namespace; the machine's own values stay.
    for name in ("all", "default"):
        file = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
        if file.exists():
            file.write_text("1")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    _run("nft", "-f", "-", stdin=rules(facts))
    _run("ip", "link", "set", "lo", "up")
    deadline = time.monotonic() + LINK_LIMIT_S
    while not Path(f"/sys/class/net/{UPLINK}").exists() and not _link_is_there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{UPLINK} did not come within {LINK_LIMIT_S:.0f} s")
        time.sleep(0.02)
    own = f"{facts.node_address}/{facts.link_prefix}"
    _run("ip", "addr", "add", own, "dev", UPLINK)
    _run("ip", "link", "set", UPLINK, "up")
    # For answers, and so that programs find the node's address by its default route.
    _run("ip", "route", "add", "default", "via", facts.machine_address)


def _link_is_there() -> bool:
    # /sys shows the network of the namespace it was mounted in, not of this one.
    done = subprocess.run(["ip", "link", "show", UPLINK], capture_output=True, check=False)
    return done.returncode == 0


def _run(*argv: str, stdin: str = "") -> None:
    subprocess.run(argv, check=True, input=stdin, text=True)
