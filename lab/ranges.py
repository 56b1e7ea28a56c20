"""Refuses an address range of the lab that means something on this machine already.

A lab range that overlaps a real network would cut the machine off from it, or send the lab's
packets there.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Protocol

from lab.errors import LabError

RESOLVERS = Path("/etc/resolv.conf")
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+(?:/\d+)?")


class HasNetworks(Protocol):
    """A table of the settings file that names address ranges."""

    def networks(self) -> Mapping[str, IPv4Network]:
        """Every range by its key in that table."""


def check(ranges: HasNetworks, own: Iterable[str] = (), *, table: str = "ranges") -> None:
    """Raises LabError naming each overlap by its key in `table` of the settings file.

    `own` names interfaces of the lab itself, whose routes and addresses do not count; nor do
    unreachable routes, which are the lab's way of keeping its packets on the machine.
    """
    used = used_networks(_ip("route", "show", "table", "all"), _resolvers(), own)
    faults = [
        f"{table}.{name} {network} overlaps {what}"
        for name, network in ranges.networks().items()
        for what, other in used
        if network.overlaps(other)
    ]
    if faults:
        raise LabError(
            "address ranges of the lab are in use on this machine; choose others in "
            "lab/settings.toml:\n  " + "\n  ".join(faults)
        )


def used_networks(
    routes: str, resolvers: Iterable[str], own: Iterable[str] = ()
) -> list[tuple[str, IPv4Network]]:
    """What `ip route show table all` and the resolvers name, as (description, network)."""
    used = [(f"resolver {address}", IPv4Network(address)) for address in resolvers]
    for line in routes.splitlines():
        words = line.split()
        if (
            not words
            or words[0] == "unreachable"
            or any(f"dev {name} " in f"{line} " for name in own)
        ):
            continue
        found = ADDRESS.findall(line)
        if words[0] == "default":
            used += [(f"gateway {address}", IPv4Network(address)) for address in found]
        else:
            used += [
                (f"route {address}", IPv4Network(address, strict=False)) for address in found[:1]
            ]
    return used


def _resolvers() -> list[str]:
    try:
        lines = RESOLVERS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    pairs = [line.split() for line in lines if line.startswith("nameserver")]
    return [words[1] for words in pairs if len(words) > 1 and ADDRESS.fullmatch(words[1])]


def _ip(*arguments: str) -> str:
    return subprocess.run(
        ["ip", "-4", *arguments], capture_output=True, text=True, check=True
    ).stdout
