"""Servers whose log is archived, without a server: what a driver tells and fetches of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pyrage
import sqlalchemy as sa

from controlplane.access import OwnServer
from controlplane.archiving import OpensLog
from controlplane.backups.models import LogArchive
from controlplane.drivers.archived_files import BaseTaken
from controlplane.engines import KUBERNETES
from tests.factories import FrozenClock
from tests.functional.depot import Depot

SHARED_SERVER = "shared_postgresql"


@dataclass
class Servers:
    """A cloud of one shared server."""

    clock: FrozenClock
    #: What fetching the log comes to, by server; `waits`: for how long it does not come to an end.
    trouble: dict[str, list[Exception]] = field(default_factory=dict)
    waits: dict[str, Event] = field(default_factory=dict)
    #: The same of its base.
    no_base: dict[str, list[Exception]] = field(default_factory=dict)
    big: dict[str, Event] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    segment: int = 0

    def logs(self, _own: Collection[OwnServer]) -> dict[str, OpensLog]:
        return {SHARED_SERVER: partial(ServerLog, self, SHARED_SERVER)}


@dataclass
class Cluster(Servers):
    """Servers of departments' own; `silence`: why it does not answer; `then`: what happens as it
    has answered."""

    silence: Exception | None = None
    has_tools: bool = True
    told: list[str] = field(default_factory=list)
    then: Callable[[], None] = lambda: None

    def logs(self, own: Collection[OwnServer]) -> dict[str, OpensLog]:
        if self.silence is not None:
            raise self.silence
        self.told = [each.resource_id for each in own if each.engine == KUBERNETES]
        self.then()
        return {each: partial(ServerLog, self, each) for each in self.told if self.has_tools}


@dataclass
class ServerLog:
    servers: Servers
    server: str
    slot: str
    recipient: str

    def begin(self) -> None:
        if self.slot not in self.servers.begun:
            self.servers.begun.append(self.slot)

    def end(self) -> None:
        self.servers.begun.remove(self.slot)

    def take_base(self, into: Path) -> BaseTaken:
        if self.server in self.servers.big:
            self.servers.big[self.server].wait(60)
        if self.servers.no_base.get(self.server):
            raise self.servers.no_base[self.server].pop()
        write(into, self.recipient)
        return BaseTaken(self._segment(), self.servers.clock())

    def receive(self, _spool: Path, into: Path) -> datetime:
        if self.server in self.servers.waits:
            self.servers.waits[self.server].wait(60)
        if self.servers.trouble.get(self.server):
            raise self.servers.trouble[self.server].pop()
        write(into / f"{self._segment()}.age", self.recipient)
        self.servers.segment += 1
        return self.servers.clock()

    def _segment(self) -> str:
        return f"0000000100000000{self.servers.segment + 1:08X}"


def write(path: Path, recipient: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pyrage.encrypt(b"log", [pyrage.x25519.Recipient.from_str(recipient)]))


def archive(depot: Depot, **clouds: Any) -> int:
    """The tick: of how many servers the log was archived."""
    return depot.control_plane.archiving.collect({**clouds, "openstack": object()})


def archives(depot: Depot) -> list[LogArchive]:
    with depot.control_plane.db.read() as session:
        return list(session.scalars(sa.select(LogArchive).order_by(LogArchive.began_at)))
