"""Logs of servers, shared or a department's own, archived as they are written, so that a moment can
be had again."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, runtime_checkable

import pyrage
import sqlalchemy as sa

from controlplane.access import OwnServer
from controlplane.admission.models import Pool
from controlplane.backups import log_rules, logs
from controlplane.backups.log_rules import Base
from controlplane.backups.log_store import Chain
from controlplane.backups.logs import LOG_KEY, chain_of
from controlplane.backups.models import LogArchive
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.credentials.keyring import Keyring
from controlplane.db import Database
from controlplane.engines import MACHINE, SHARED
from controlplane.errors import CloudRefused, CloudUnavailable, DomainError, LogLost
from controlplane.machines import admin_passwords
from controlplane.provisioning.models import Resource

log = logging.getLogger(__name__)

#: Each is a program that writes to the same store.
LOGS_AT_ONCE, BASES_AT_ONCE = 4, 2
CHAIN_LENGTH = 40


class ServerLog(Protocol):
    """One server whose log is archived, see `drivers.postgresql_log`. Each raises CloudUnavailable
    and CloudRefused."""

    def begin(self) -> None: ...

    def end(self) -> None: ...

    def take_base(self, into: Path) -> Any: ...

    def receive(self, spool: Path, into: Path) -> datetime: ...


#: By the name of its slot and the public key that it is encrypted to.
OpensLog = Callable[[str, str], ServerLog]


@runtime_checkable
class ArchivesLogs(Protocol):
    """A cloud of servers whose log can be archived."""

    def logs(self, own: Collection[OwnServer]) -> Mapping[str, OpensLog]:
        """By the server's name: shared servers, and those of `own` that stand here and can be
        archived now, by the resource's id. Errors: CloudUnavailable, CloudRefused."""


#: A cloud and a server of it.
Key = tuple[str, str]


@dataclass(frozen=True)
class _Server:
    """One server and its chain; who holds its `turn` may fetch the log."""

    archive: LogArchive
    log: ServerLog
    chain: Chain
    turn: Lock


class Archiving:
    def __init__(
        self, db: Database, catalogue: Catalogue, settings: Settings, clock: Clock
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.settings = settings
        self.clock = clock
        self._keep = timedelta(days=settings.log_archive_days)
        #: Until the next tick is due.
        self.patience_seconds: float = settings.log_archive_seconds
        self._fetching = ThreadPoolExecutor(LOGS_AT_ONCE, thread_name_prefix="log-archive")
        self._basing = ThreadPoolExecutor(BASES_AT_ONCE, thread_name_prefix="log-base")
        #: What a tick before this one has begun and is not done yet.
        self._logs_under_way: dict[Key, Future[bool]] = {}
        self._bases_under_way: dict[Key, Future[bool]] = {}
        self._turns: dict[str, Lock] = {}
        #: Why the last base of a chain did not come about.
        self._without_base: dict[str, str] = {}

    def collect(self, clouds: Mapping[str, Any]) -> int:
        """Brings the archive of each server's log up to now; returns of how many. What takes longer
        than until the next tick, such as a big base, goes on and holds up nothing else. A tick."""
        with self.db.transaction() as session:
            logs.end_of_the_gone(session, self.clock())
        found = self._found(clouds)
        servers = {
            key: self._server_of(archive, found[key])
            for key, archive in self._archives_of(found.keys()).items()
        }
        begun: list[list[Future[bool]]] = []
        for pool, under_way, work in (
            (self._fetching, self._logs_under_way, self._fetch),
            (self._basing, self._bases_under_way, self._take_base),
        ):
            for key in [key for key, future in under_way.items() if future.done()]:
                del under_way[key]
            free = servers.keys() - under_way.keys()
            futures = {key: pool.submit(self._tried, work, servers[key]) for key in sorted(free)}
            under_way.update(futures)
            begun.append(list(futures.values()))
        fetched, bases = begun
        done, _ = wait([*fetched, *bases], timeout=self.patience_seconds)
        self._remove_ended()
        return sum(future.result() for future in fetched if future in done)

    def join(self) -> None:
        """Until nothing is under way."""
        wait([*self._logs_under_way.values(), *self._bases_under_way.values()])

    def _server_of(self, archive: LogArchive, opens: OpensLog) -> _Server:
        chain, turn = archive.chain, self._turns.setdefault(archive.chain, Lock())
        server_log = opens(f"egov_{chain}", archive.recipient)
        return _Server(archive, server_log, chain_of(self.settings, archive), turn)

    def _found(self, clouds: Mapping[str, Any]) -> dict[Key, OpensLog]:
        """The logs that can be archived now; what cannot and should be says so on its archive."""
        own, found, why = self._own_servers(), dict[Key, OpensLog](), dict[str, str]()
        for cloud, driver in clouds.items():
            if not isinstance(driver, ArchivesLogs):
                continue
            why[cloud] = "its server is not there, or cannot be archived"
            try:
                told = driver.logs(own)
            except (CloudUnavailable, CloudRefused) as error:
                why[cloud] = str(error.params.get("reason", error))
                log.warning("logs of %s: %s", cloud, why[cloud])
                continue
            found |= {(cloud, server): opens for server, opens in told.items()}
        with self.db.read() as session:
            expected = [archive for archive, _ in logs.going_on(session)]
        for archive in expected:
            if (archive.cloud, archive.server) not in found and archive.cloud in why:
                self._note(archive, error=why[archive.cloud][:2000])
        return found

    def _own_servers(self) -> list[OwnServer]:
        """Of active resources that have a server of their own and whose plan has moments."""
        services = {s.code for s in self.catalogue.every_version if s.backups and s.backups.moments}
        query = (
            sa.select(Resource)
            .join(Pool, Pool.code == Resource.pool_code)
            .where(
                Pool.engine != SHARED,
                Resource.service.in_(services),
                Resource.state == logs.ARCHIVED,
            )
        )
        with self.db.read() as session:
            found = [
                OwnServer(
                    *(row.id, row.service, engine),
                    *(str(row.outputs["address"]), int(row.outputs["port"])),
                )
                for row in session.scalars(query)
                if (engine := self._engine_of(row)) and row.outputs.keys() >= {"address", "port"}
            ]
            on_machines = [own.resource_id for own in found if own.engine == MACHINE]
            passwords = admin_passwords(session, self.settings, on_machines)
        return [replace(own, admin_password=passwords.get(own.resource_id, "")) for own in found]

    def _engine_of(self, resource: Resource) -> str | None:
        """None where no moment of it can be had."""
        service = self.catalogue.find(resource)
        if service is None or not service.has_moments(resource.spec):
            return None
        return service.engine_of(resource.spec)

    def _tried(self, work: Callable[[_Server], bool], server: _Server) -> bool:
        """What comes of it is noted on the archive."""
        archive = server.archive
        try:
            self._check_room()
            done = work(server)
        except LogLost as lost:
            log.warning("log of %s: %s; a new chain begins", archive.server, lost.params["reason"])
            self._note(archive, error=str(lost.params["reason"]), ended_at=self.clock())
            with suppress(CloudUnavailable):  # a lost slot is of no more use to anybody
                server.log.end()
            return False
        except (CloudUnavailable, CloudRefused, OSError) as error:
            params = error.params if isinstance(error, DomainError) else {}
            reason = str(params.get("reason", error))[:2000]
            log.warning("log of %s: %s", archive.server, reason)
            if work == self._take_base:
                self._without_base[archive.chain] = reason
            self._note(archive, error=reason)
            return False
        return done

    def _fetch(self, server: _Server) -> bool:
        """The log up to now; what no moment needs any more goes."""
        chain, now = server.chain, self.clock()
        with server.turn:
            reached_at = self._received(server)
            for old in log_rules.needless_bases(chain.bases(), now, self._keep):
                chain.remove_base(old)
            for segment in log_rules.needless_segments(chain.bases(), chain.segments()):
                chain.remove_segment(segment)
            self._note_reached(server, reached_at)
        return True

    def _take_base(self, server: _Server) -> bool:
        """A base, which counts once the log up to its end is there. A big one takes hours, in which
        the log is fetched as ever: a server keeps only so much of it."""
        chain, now = server.chain, self.clock()
        if not log_rules.wants_base(chain.bases(), now):
            return False
        with server.turn:
            self._begun(server)
        name = f"{now:%Y%m%dT%H%M%S}"
        taken = server.log.take_base(chain.base(name))
        with server.turn:
            reached_at = self._received(server)
            chain.note_base(Base(name, taken.first_segment, taken.ended_at))
            self._without_base[server.archive.chain] = taken.lacks
            self._note_reached(server, reached_at)
        return True

    def _begun(self, server: _Server) -> None:
        if server.archive.reached_at is None:
            server.log.begin()

    def _received(self, server: _Server) -> datetime:
        self._begun(server)
        return server.log.receive(server.chain.spool, server.chain.wal)

    def _note_reached(self, server: _Server, reached_at: datetime) -> None:
        bases = server.chain.bases()
        self._note(
            server.archive,
            reached_at=reached_at,
            oldest_at=min((base.ended_at for base in bases), default=None),
            size_bytes=server.chain.size_bytes(),
            error=self._without_base.get(server.archive.chain, ""),
        )

    def _archives_of(self, keys: Collection[Key]) -> dict[Key, LogArchive]:
        """The chains that go on, and a new one for each server that has none."""
        now, keyring = self.clock(), Keyring(self.settings.credential_keys)
        with self.db.transaction() as session:
            known = {(a.cloud, a.server): a for a in logs.open_archives(session)}
            for cloud, server in sorted(keys - known.keys()):
                identity = pyrage.x25519.Identity.generate()
                archive = LogArchive(
                    chain=(chain := _chain_name(server, now)),
                    cloud=cloud,
                    server=server,
                    recipient=str(identity.to_public()),
                    sealed_key=keyring.seal(chain, LOG_KEY, str(identity)),
                    began_at=now,
                    error="",
                )
                session.add(archive)
                known[cloud, server] = archive
            session.flush()
            return {key: known[key] for key in sorted(keys)}

    def _note(self, archive: LogArchive, **values: Any) -> None:
        with self.db.transaction() as session:
            session.execute(
                sa.update(LogArchive).where(LogArchive.chain == archive.chain).values(values)
            )

    def _check_room(self) -> None:
        """Errors: CloudRefused, before the disk of the backup store is full."""
        folder, reserve_mib = self.settings.backups_dir, self.settings.backup_store_reserve_mib
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        free_mib = shutil.disk_usage(folder).free >> 20
        if free_mib < reserve_mib:
            reason = f"the backup store has {free_mib} MiB free and keeps {reserve_mib} in reserve"
            raise CloudRefused(reason=reason)

    def _remove_ended(self) -> None:
        """Chains that have ended, once no moment of theirs is kept any more."""
        with self.db.read() as session:
            over = session.scalars(
                sa.select(LogArchive).where(LogArchive.ended_at < self.clock() - self._keep)
            ).all()
        for archive in over:
            chain_of(self.settings, archive).remove()
            with self.db.transaction() as session:
                session.execute(sa.delete(LogArchive).where(LogArchive.chain == archive.chain))


def _chain_name(server: str, now: datetime) -> str:
    """Of what a replication slot's name may hold."""
    name = re.sub("[^a-z0-9_]", "", server.lower())
    return f"log_{now:%Y%m%d_%H%M%S}_{name}"[:CHAIN_LENGTH]
