"""Archived logs of servers: which chain is of which resource, what can be had of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.admission.models import Pool
from controlplane.backups.log_rules import Span, base_for, span_between
from controlplane.backups.log_store import Chain
from controlplane.backups.models import LogArchive
from controlplane.config import Settings
from controlplane.credentials.keyring import Keyring
from controlplane.engines import SHARED
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState

#: Under which the key of an archived log is sealed.
LOG_KEY = "log"
#: A resource's own server is archived while it is active: suspended it writes nothing, and while a
#: run changes it, it may be starting.
ARCHIVED = ResourceState.ACTIVE


def chain_of(settings: Settings, archive: LogArchive) -> Chain:
    return Chain(settings.backups_dir / "logs" / archive.chain)


def archive_of(session: Session, resource: Resource) -> LogArchive | None:
    """The chain that goes on of the server that a resource stands on: the shared one of its service
    in its pool's cloud, or its own, which is named by the resource's id."""
    pool = session.get_one(Pool, resource.pool_code)
    is_shared = pool.engine == SHARED
    name = f"{SHARED}_{resource.service}" if is_shared else resource.id
    query = sa.select(LogArchive).where(LogArchive.server == name, LogArchive.ended_at.is_(None))
    query = query.where(LogArchive.cloud == pool.cloud) if is_shared else query
    return session.scalars(query.order_by(LogArchive.began_at.desc()).limit(1)).first()


def open_archives(session: Session) -> list[LogArchive]:
    """Chains that go on, or will when their server does; the newest of a server is the last."""
    query = sa.select(LogArchive).where(LogArchive.ended_at.is_(None))
    return list(session.scalars(query.order_by(LogArchive.began_at)))


def going_on(session: Session) -> list[tuple[LogArchive, Resource | None]]:
    """Chains that are to be brought up now, the oldest first, each with the resource whose own
    server it is of."""
    query = (
        sa.select(LogArchive, Resource)
        .outerjoin(Resource, Resource.id == LogArchive.server)
        .where(
            LogArchive.ended_at.is_(None),
            sa.or_(Resource.id.is_(None), Resource.state == ARCHIVED),
        )
        .order_by(LogArchive.began_at)
    )
    return [(archive, resource) for archive, resource in session.execute(query)]


def end_of_the_gone(session: Session, now: datetime) -> None:
    """A server that was destroyed writes no more: its chain is at its end."""
    gone = sa.select(Resource.id).where(
        Resource.state.in_((ResourceState.RETIRED, ResourceState.FAILED))
    )
    session.execute(
        sa.update(LogArchive)
        .where(LogArchive.ended_at.is_(None), LogArchive.server.in_(gone))
        .values(ended_at=now, error="")
    )


def span_of(session: Session, resource: Resource) -> Span | None:
    """Moments of a resource that can be had again, from the archived log of its server."""
    archive = archive_of(session, resource)
    if archive is None or archive.oldest_at is None or archive.reached_at is None:
        return None
    return span_between(archive.oldest_at, archive.reached_at, resource.delivered_at)


def to_go_back(
    archive: LogArchive,
    settings: Settings,
    keyring: Keyring,
    moment: datetime,
    databases: Collection[str],
) -> dict[str, Any] | None:
    """What the play needs that makes the server of a moment anew, as far as `databases` go; None
    where no base of them is kept that is old enough. Errors: ConfigurationMissing (the key that
    sealed)."""
    chain = chain_of(settings, archive)
    usable = [b for b in chain.bases() if not any(chain.lacks(b, name) for name in databases)]
    base = base_for(usable, moment)
    if base is None:
        return None
    return {
        "moment": moment.isoformat(),
        "databases": list(databases),
        "base": str(chain.base(base.name)),
        "first_segment": base.first_segment,
        "wal": str(chain.wal),
        "identity": keyring.open(archive.chain, LOG_KEY, archive.sealed_key),
    }
