"""What time brings by itself: each tick is idempotent and fired by the leader only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
from apscheduler.schedulers.background import BackgroundScheduler

from controlplane import audit
from controlplane.admission.models import Pool
from controlplane.engines import MEASURED
from controlplane.errors import CloudRefused, CloudUnavailable
from controlplane.leadership import lead

if TYPE_CHECKING:
    from controlplane.app import ControlPlane

log = logging.getLogger(__name__)

POOL_READ_SECONDS = 60
RETENTION_SECONDS = 60
UPLOAD_SECONDS = 3600
DISK_SECONDS = 60
USE_SECONDS = 60


class PoolReader(Protocol):
    """What the pool tick asks of a cloud's driver."""

    def pool_facts(self, availability_zone: str) -> tuple[dict[str, int], list[dict[str, str]]]:
        """Capacity by dimension as the cloud reports it, and images as {name, title}.

        Errors: CloudUnavailable, CloudRefused.
        """


class Ticks:
    """Of one control plane over its `clouds`, while `holder` leads."""

    def __init__(
        self, control_plane: ControlPlane, clouds: Mapping[str, PoolReader], holder: str
    ) -> None:
        self.control_plane = control_plane
        self.db = control_plane.db
        self.settings = control_plane.settings
        self.clock = control_plane.clock
        self.clouds = clouds
        self.holder = holder
        self._scheduler = BackgroundScheduler(timezone="UTC")

    def start(self) -> None:
        every = self.settings.tick_seconds
        for tick, seconds in (
            (self.seal_audit, every),
            (self.destroy_due, every),
            (self.end_leases, every),
            (self.lapse_asks, every),
            (self.end_grace, every),
            (self.advance_upgrades, every),
            (self.back_up_due, every),
            (self.renew_certificates, every),
            (self.refresh_lists, every),
            (self.drill_due, every),
            (self.delete_expired_backups, RETENTION_SECONDS),
            (self.delete_unused_uploads, UPLOAD_SECONDS),
            (self.read_pools, POOL_READ_SECONDS),
            (self.measure_disks, DISK_SECONDS),
            (self.sample_use, USE_SECONDS),
            (self.archive_logs, self.settings.log_archive_seconds),
        ):
            self._scheduler.add_job(
                self._as_leader,
                "interval",
                [tick],
                seconds=seconds,
                id=tick.__name__,
                coalesce=True,
                max_instances=1,
                # A busy machine is late by more than the second that is allowed by default, and
                # what is due every minute or hour would be left out for so long.
                misfire_grace_time=None,
                next_run_time=self.clock(),
            )
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.shutdown(wait=False)

    def _as_leader(self, tick: Callable[[], Any]) -> None:
        lease = timedelta(seconds=self.settings.tick_seconds * 3)
        try:
            if lead(self.db, "ticks", self.holder, lease, self.clock()):
                tick()
        except Exception:
            log.exception("tick %s; it will be tried again", tick.__name__)

    def seal_audit(self) -> int:
        """Gives new audit events their place in the hash chain."""
        with self.db.transaction() as session:
            return audit.seal_events(session)

    def destroy_due(self) -> int:
        """Starts destroying resources whose grace period is over."""
        return self.control_plane.operations.destroy_due()

    def lapse_asks(self) -> int:
        """Drops what has waited too long for a second person."""
        return self.control_plane.operations.lapse_asks()

    def end_leases(self) -> int:
        """Suspends, and later retires, resources whose lease nobody renewed."""
        return self.control_plane.leases.end_leases()

    def end_grace(self) -> int:
        """Starts to end the validity of secrets whose grace time after a rotation is over."""
        return self.control_plane.operations.end_grace()

    def advance_upgrades(self) -> int:
        """Begins the instances of running upgrades whose turn it is."""
        return self.control_plane.upgrading.advance()

    def renew_certificates(self) -> int:
        """Starts to renew certificates that near their end."""
        return self.control_plane.certifying.renew_due()

    def refresh_lists(self) -> int:
        """Signs the revocation lists anew that are a day old."""
        return self.control_plane.certifying.refresh_lists()

    def back_up_due(self) -> int:
        """Starts the backups whose daily moment has come."""
        return self.control_plane.custody.back_up_due()

    def drill_due(self) -> int:
        """Starts the restore drills that the quarter wants."""
        return self.control_plane.custody.drill_due()

    def delete_expired_backups(self) -> int:
        """Removes archives whose time is over."""
        return self.control_plane.custody.delete_expired()

    def delete_unused_uploads(self) -> int:
        """Removes uploads that nobody has named for long."""
        return self.control_plane.uploads.delete_unused()

    def archive_logs(self) -> int:
        """Brings the archives of servers' logs up to now."""
        return self.control_plane.archiving.collect(self.clouds)

    def measure_disks(self) -> int:
        """Reads what resources' data take of their plans, and holds them to it."""
        return self.control_plane.disks.measure(self.clouds)

    def sample_use(self) -> int:
        """Reads what resources use of what they hold."""
        return self.control_plane.utilisation.sample(self.clouds)

    def read_pools(self) -> None:
        """Reads each open pool's capacity and images from its cloud and keeps them on its row."""
        with self.db.read() as session:
            pools = session.execute(
                sa.select(Pool.code, Pool.cloud, Pool.availability_zone).where(
                    Pool.active.is_(True), Pool.engine.in_(MEASURED)
                )
            ).all()
        for code, cloud, availability_zone in pools:
            values: dict[str, Any] = {"cloud_read_at": self.clock(), "cloud_error": ""}
            try:
                if cloud not in self.clouds:
                    raise CloudRefused(reason=f"no cloud {cloud} in the clouds file")
                capacity, images = self.clouds[cloud].pool_facts(availability_zone)
                values |= {"cloud_capacity": capacity, "cloud_images": images}
            except (CloudUnavailable, CloudRefused) as error:
                values = {"cloud_error": str(error.params.get("reason", error))[:1000]}
            with self.db.transaction() as session:
                session.execute(sa.update(Pool).where(Pool.code == code).values(values))
