"""A picture of the machine: what the lab could change, and what of it came or went."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SYSCTLS = ("ip_forward", "conf/all/forwarding", "conf/default/forwarding", "conf/all/rp_filter")
LISTED = ("/etc", "/run", "/var/lib", "/var/log", "/var/cache", "/dev")


def picture() -> dict[str, set[str]]:
    """Everything the lab could change, by kind, as comparable lines."""
    return {
        "links": _lines("ip", "-o", "link"),
        "addresses": _lines("ip", "-o", "addr"),
        "routes": _lines("ip", "route", "show", "table", "all"),
        "rules": _lines("ip", "rule"),
        "packet filter": _lines("nft", "list", "ruleset"),
        "network namespaces": _lines("ip", "netns", "list"),
        "mounts": _mounts(),
        "packages": _lines("dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n"),
        "users": _file("/etc/passwd"),
        "groups": _file("/etc/group"),
        "settings": {f"{name}={_sysctl(name)}" for name in SYSCTLS},
        "loop devices": _loop_devices(),
        "folders": {str(path) for top in LISTED for path in Path(top).iterdir()},
    }


def differences(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, list[str]]:
    """Per kind what came (+) and what went (-); empty where the machine is as it was."""
    found = {
        kind: [f"+{line}" for line in after[kind] - before[kind]]
        + [f"-{line}" for line in before[kind] - after[kind]]
        for kind in before
    }
    return {kind: lines for kind, lines in found.items() if lines}


def gone(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, list[str]]:
    """Per kind what was there before and is not there after, sorted; only kinds with something."""
    lost = {kind: sorted(before[kind] - after[kind]) for kind in before}
    return {kind: lines for kind, lines in lost.items() if lines}


def _lines(*command: str) -> set[str]:
    """What a tool prints; nothing where the machine does not have it or it may not ask."""
    if shutil.which(command[0]) is None:
        return set()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # an interface's counters of time and its number differ without anybody's doing
    timeless = (line.partition(" valid_lft")[0] for line in done.stdout.splitlines())
    return {" ".join((line.partition(": ")[2] or line).split()) for line in timeless}


def _mounts() -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return {" ".join(line.split()[3:5]) for line in lines}


def _file(path: str) -> set[str]:
    return set(Path(path).read_text(encoding="utf-8").splitlines())


def _sysctl(name: str) -> str:
    return Path(f"/proc/sys/net/ipv4/{name}").read_text(encoding="ascii").strip()


def _loop_devices() -> set[str]:
    return {file.read_text().strip() for file in Path("/sys/block").glob("loop*/loop/backing_file")}
