"""The shared servers' logs, archived as they are written, so that a moment can be had again."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyrage
import sqlalchemy as sa

from controlplane.backups import log_rules
from controlplane.backups.log_rules import Base
from controlplane.backups.models import LogArchive
from controlplane.backups.service import LOG_KEY, chain_of, open_archive
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.credentials.keyring import Keyring
from controlplane.db import Database
from controlplane.errors import CloudRefused, CloudUnavailable, LogLost

log = logging.getLogger(__name__)


class ServerLog(Protocol):
    """One server whose log is archived, see `drivers.postgresql_log`. Each raises CloudUnavailable
    and CloudRefused."""

    def begin(self) -> None: ...

    def end(self) -> None: ...

    def take_base(self, into: Path) -> Any: ...

    def receive(self, spool: Path, into: Path) -> datetime: ...


@runtime_checkable
class ArchivesLogs(Protocol):
    """A cloud of servers whose log can be archived."""

    def log_servers(self) -> list[str]: ...

    def log_of(self, server: str, slot: str, recipient: str) -> ServerLog: ...


class Archiving:
    def __init__(self, db: Database, settings: Settings, clock: Clock) -> None:
        self.db = db
        self.settings = settings
        self.clock = clock
        self._keep = timedelta(days=settings.log_archive_days)

    def collect(self, clouds: Mapping[str, Any]) -> int:
        """Brings the archive of each server's log up to now; returns of how many. A tick."""
        done = 0
        for cloud, driver in clouds.items():
            if not isinstance(driver, ArchivesLogs):
                continue
            try:
                servers = driver.log_servers()
            except CloudRefused as error:
                log.warning("logs of %s: %s", cloud, error.params.get("reason", error))
                continue
            for server in servers:
                done += self._collect_of(cloud, server, driver)
        self._remove_ended()
        return done

    def _collect_of(self, cloud: str, server: str, driver: ArchivesLogs) -> bool:
        archive = self._archive_of(cloud, server)
        server_log = driver.log_of(server, f"egov_{archive.chain}", archive.recipient)
        try:
            self._check_room()
            reached_at = self._bring_up(archive, server_log)
        except LogLost as lost:
            log.warning("log of %s: %s; a new chain begins", server, lost.params["reason"])
            self._note(archive, error=str(lost.params["reason"]), ended_at=self.clock())
            with suppress(CloudUnavailable):  # a lost slot is of no more use to anybody
                server_log.end()
            return False
        except (CloudUnavailable, CloudRefused) as error:
            reason = str(error.params.get("reason", error))
            log.warning("log of %s: %s", server, reason)
            self._note(archive, error=reason[:2000])
            return False
        chain = chain_of(self.settings, archive)
        oldest_at = min((base.ended_at for base in chain.bases()), default=None)
        self._note(
            archive,
            reached_at=reached_at,
            oldest_at=oldest_at,
            size_bytes=chain.size_bytes(),
            error="",
        )
        return True

    def _bring_up(self, archive: LogArchive, server_log: ServerLog) -> datetime:
        chain, now, base = chain_of(self.settings, archive), self.clock(), None
        if archive.reached_at is None:
            server_log.begin()
        if log_rules.wants_base(chain.bases(), now):
            name = f"{now:%Y%m%dT%H%M%S}"
            taken = server_log.take_base(chain.base(name))
            base = Base(name, taken.first_segment, taken.ended_at)
        reached_at = server_log.receive(chain.spool, chain.wal)
        if base is not None:  # the log up to its end is there now
            chain.note_base(base)
        for old in log_rules.needless_bases(chain.bases(), now, self._keep):
            chain.remove_base(old)
        for segment in log_rules.needless_segments(chain.bases(), chain.segments()):
            chain.remove_segment(segment)
        return reached_at

    def _archive_of(self, cloud: str, server: str) -> LogArchive:
        """The chain that goes on, or a new one."""
        with self.db.transaction() as session:
            archive = open_archive(session, cloud, server)
            if archive is None:
                identity, now = pyrage.x25519.Identity.generate(), self.clock()
                chain = f"log_{now:%Y%m%d_%H%M%S}_{server}"[:40].lower()
                keyring = Keyring(self.settings.credential_keys)
                archive = LogArchive(
                    chain=chain,
                    cloud=cloud,
                    server=server,
                    recipient=str(identity.to_public()),
                    sealed_key=keyring.seal(chain, LOG_KEY, str(identity)),
                    began_at=now,
                )
                session.add(archive)
                session.flush()
            return archive

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
