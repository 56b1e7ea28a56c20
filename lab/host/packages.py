"""Debian packages that the lab installs, and how they come and go.

Some bring users, groups and folders; all are recorded, so that `remove` leaves the package list and
the account files as they were. What apt is about to install is recorded before it does, so nothing
is forgotten by who is killed in between.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.host import changes
from lab.host.changes import HostChanges
from lab.tool import ToolError, run

Say = Callable[[str], None]

# Debian's packages start their daemons on installation; the lab runs its own, where it wants them.
_POLICY = Path("/usr/sbin/policy-rc.d")
_POLICY_TEXT = "#!/bin/sh\n# set by the lab while it installs packages\nexit 101\n"

_APT = ("apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=300")
_APT_ENV = {"DEBIAN_FRONTEND": "noninteractive"}


def missing(wanted: Sequence[str]) -> list[str]:
    """Those of `wanted` that are not installed."""
    there = _installed()
    return [name for name in wanted if name not in there]


def would_install(wanted: Sequence[str]) -> list[str]:
    """Every package, dependencies included, that installing `wanted` would bring.

    The package lists are refreshed once if they are empty or too old. Raises ToolError when apt
    cannot find one of them.
    """
    if not wanted:
        return []
    try:
        return _plan(wanted)
    except ToolError:  # a fresh container has no package lists
        run([*_APT, "update"], timeout_s=300)
        return _plan(wanted)


def install(wanted: Sequence[str], record: Path, say: Say, leftovers: Sequence[str] = ()) -> bool:
    """Install what is missing and record what came with it; returns whether anything did.

    `leftovers` are folders that the packages' removal would leave behind. Raises ToolError;
    whatever came before the failure is recorded all the same.
    """
    coming = missing(wanted)
    if not coming:
        return False
    say(f"apt installs {', '.join(coming)} and what they need")
    packages, users, groups = _installed(), _users(), _groups()
    folders = {folder for folder in leftovers if Path(folder).exists()}
    known = changes.load(record)
    known.merge(HostChanges(packages=sorted(set(would_install(coming)) - packages)))
    changes.save(record, known)
    own_policy = not _POLICY.exists()
    if own_policy:
        _POLICY.write_text(_POLICY_TEXT)
        _POLICY.chmod(0o755)
    try:
        run([*_APT, "install", "--no-install-recommends", *coming], timeout_s=900, env=_APT_ENV)
    finally:
        if own_policy:
            _POLICY.unlink(missing_ok=True)
        known.merge(
            HostChanges(
                packages=sorted(_installed() - packages),
                users=sorted(_users() - users),
                groups=sorted(_groups() - groups),
                folders=sorted(set(leftovers) - folders),
            )
        )
        changes.save(record, known)
    return True


def remove(record: Path, say: Say) -> list[str]:
    """Purge exactly the packages, users, groups and folders that `install` recorded; returns the
    packages that went."""
    known = changes.load(record)
    going = sorted(set(known.packages) & _installed())
    if going:
        say(f"removing the {len(going)} Debian packages the lab installed")
        run([*_APT, "purge", *going], timeout_s=600, env=_APT_ENV)
    for user in set(known.users) & _users():
        run(["userdel", user])
    for group in set(known.groups) & _groups():
        run(["groupdel", group])
    for folder in known.folders:
        run(["rm", "-rf", "--one-file-system", folder])
    record.unlink(missing_ok=True)
    return going


def _plan(wanted: Sequence[str]) -> list[str]:
    plan = run([*_APT, "install", "-s", "--no-install-recommends", *wanted])
    return [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]


def _installed() -> set[str]:
    listing = run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n"])
    return {line.split()[1] for line in listing.splitlines() if line.startswith("ii")}


def _users() -> set[str]:
    return {user.pw_name for user in pwd.getpwall()}


def _groups() -> set[str]:
    return {group.gr_name for group in grp.getgrall()}
