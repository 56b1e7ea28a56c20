"""`make bench-provisioning`: an order beside openstacksdk's `create_server(wait=True)`, same cloud.

Ours is the whole way from the last office's agreement over HTTP to a delivered resource: job,
worker, ansible-runner, playbook, cloud. The peer is one SDK call that is signed in already. Singles
alternate, so that both meet the same machine; with real machines they end with a log-in over SSH.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, report
from benchmarks.orders import Orders, benchmark_server
from benchmarks.sdk_servers import SdkServers
from lab import settings
from lab.city.keys import Key, log_in, make_key
from lab.errors import LabError
from lab.openstack import cloud
from lab.progress import Progress

SINGLES = 5
AT_ONCE = 20
SINGLE_BOUND, LOGIN_BOUND, AT_ONCE_BOUND = 1.0, 1.15, 1.5
MEMORY_BOUND_MIB = 400.0


@dataclass
class Sides:
    """Both, on one cloud; `has_machines`: something boots behind a server and lets one in."""

    ours: Orders
    peer: SdkServers
    key: Key
    has_machines: bool

    def singles(self) -> Figure:
        """The median of five each, after one of each that warms and onboards."""
        ours, peer = [], []
        for _ in range(SINGLES + 1):
            ours.append(self._our_single())
            peer.append(self.peer.create_and_log_in() if self.has_machines else self.peer.create(1))
        end, bound = ("SSH log-in", LOGIN_BOUND) if self.has_machines else ("ACTIVE", SINGLE_BOUND)
        name = f"one order, last approval to {end}, median of {SINGLES} (at most {bound} times)"
        return Figure(name, statistics.median(ours[1:]), statistics.median(peer[1:]), "s")

    def _our_single(self) -> float:
        request_id = self.ours.submit()
        started_s = time.perf_counter()
        self.ours.deliver([request_id])
        if self.has_machines:
            outputs = self.ours.outputs(request_id)
            log_in(outputs["addresses"]["floating"], self.key, outputs["host_key"])
        return time.perf_counter() - started_s

    def at_once(self) -> Figure:
        orders = [self.ours.submit() for _ in range(AT_ONCE)]
        ours_s = self.ours.deliver(orders)
        peer_s = self.peer.create(AT_ONCE)
        name = f"{AT_ONCE} orders approved at once, all ACTIVE (at most {AT_ONCE_BOUND} times)"
        return Figure(name, ours_s, peer_s, "s")


def main() -> int:
    try:
        status = cloud.start(settings.load(), Progress())
        with tempfile.TemporaryDirectory(prefix="bench-provisioning-") as folder:
            figures = _measure(Path(folder), status.clouds_yaml, status.data_plane == "real")
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report("provisioning", figures, "SDK or bound")
    bounds = (LOGIN_BOUND if status.data_plane == "real" else SINGLE_BOUND, AT_ONCE_BOUND, 1.0)
    missed = [f.figure for f, bound in zip(figures, bounds, strict=True) if f.ratio > bound]
    for figure in missed:
        print(f"over the bound: {figure}", file=sys.stderr)
    return 1 if missed else 0


def _measure(folder: Path, clouds_yaml: str, has_machines: bool) -> list[Figure]:
    server = benchmark_server(folder, clouds_yaml, has_machines)
    key = make_key(folder / "keys")
    server.set_up()
    server.start()
    try:
        sides = Sides(Orders(server, key.public), SdkServers(clouds_yaml, key), key, has_machines)
        try:
            single = sides.singles()
            sides.ours.destroy_all()
            sides.peer.remove_servers()
            at_once = sides.at_once()
            memory = Figure(
                "the control plane's own memory, peak, its runs not counted",
                sides.ours.peak_memory_mib(),
                MEMORY_BOUND_MIB,
                "MiB",
            )
            sides.ours.destroy_all()
        finally:
            sides.peer.remove()
    finally:
        server.stop()
    return [single, at_once, memory]


if __name__ == "__main__":
    sys.exit(main())
