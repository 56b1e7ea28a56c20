"""The lab as a whole: each of its parts as it is now, all of them stopped, all of it taken back."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from typing import Literal

from lab import processes
from lab.city.server import Server, server_of
from lab.host import packages, picture, record_file
from lab.kubernetes import cluster
from lab.openstack import cloud
from lab.progress import Progress
from lab.services import shared
from lab.settings import TEST_HOME, Settings

Name = Literal["openstack", "services", "kubernetes", "controlplane"]


@dataclass(frozen=True)
class Part:
    """A part as it is now: where it is reached, what stands behind it and why."""

    name: Name
    ready: bool
    rss_mib: int
    place: str
    behind: str


def status(settings: Settings) -> list[Part]:
    """What runs now; touches nothing."""
    return [_openstack(settings), _services(settings), _kubernetes(settings), _server(settings)]


def _openstack(settings: Settings) -> Part:
    now = cloud.status(settings)
    behind = {"real": "real machines", "none": "every API real, no machine behind a server"}
    return Part(
        "openstack",
        now.ready,
        now.rss_mib,
        now.clouds_yaml,
        f"{behind.get(now.data_plane, now.data_plane)} ({now.reason})",
    )


def _services(settings: Settings) -> Part:
    running = [each for each in shared.status(shared.ENGINES, settings) if each.state == "running"]
    return Part(
        "services",
        len(running) == len(shared.ENGINES),
        sum(each.rss_mib for each in running),
        ", ".join(f"{each.name} {each.port}" for each in running),
        f"{len(running)} of {len(shared.ENGINES)} servers",
    )


def _kubernetes(settings: Settings) -> Part:
    now = cluster.status(settings)
    behind = {"real": "pods run on a node", "none": "every API real, pods stay Pending"}
    return Part(
        "kubernetes",
        now.ready,
        now.rss_mib,
        now.kubeconfig,
        f"{behind.get(now.pods, now.pods)} ({now.reason})",
    )


def _server(settings: Settings) -> Part:
    server = server_of(settings, "", machines_answer=False)
    process = processes.noted(server.pid_file)
    rss_mib = process.rss_mib() if process and process.alive() else 0
    return Part("controlplane", server.is_up(), rss_mib, server.url, "the sample city")


def stop(settings: Settings, progress: Progress) -> list[str]:
    """Stops every part, the control plane first; returns the names of what ran. All is kept."""
    ended = ["controlplane"] * server_of(settings, "", machines_answer=False).stop()
    ended += cluster.stop(settings, progress)
    ended += shared.stop(shared.ENGINES, settings, progress)
    return ended + cloud.stop(settings, progress)


def clean(settings: Settings, progress: Progress) -> dict[str, list[str]]:
    """Stops everything and removes all that it made, in this checkout and on this machine.

    Returns what was taken back, by kind: of the machine what is gone now, and the programs ended.
    """
    before, ended = picture.picture(), []
    server: Server = server_of(settings, "", machines_answer=False)
    # The second home: of tests that were killed before they could tidy up.
    for each in (settings, replace(settings, home=settings.home.with_name(TEST_HOME))):
        if not each.home.exists():
            continue
        ended += stop(each, progress)
        cluster.clean(each, progress)
        shared.clean(each, progress)
        cloud.clean(each, progress)
        if os.geteuid() == 0:
            packages.remove(record_file(each), progress.say)
        if each.home.exists() and not any(each.home.iterdir()):
            each.home.rmdir()
    shutil.rmtree(server.var_dir, ignore_errors=True)
    return {"programs": ended, **picture.gone(before, picture.picture())}
