"""One leader among several processes, elected by a lease in the database: it alone fires ticks."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, Database


class LeaderLease(Base):
    __tablename__ = "leader_lease"
    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(sa.String(80))
    until: Mapped[datetime]


def lead(db: Database, name: str, holder: str, lease: timedelta, now: datetime) -> bool:
    """Takes or prolongs the lease `name`; returns whether `holder` leads now."""
    try:
        with db.transaction() as session:
            taken = session.execute(
                sa.update(LeaderLease)
                .where(
                    LeaderLease.name == name,
                    sa.or_(LeaderLease.holder == holder, LeaderLease.until < now),
                )
                .values(holder=holder, until=now + lease)
                .returning(LeaderLease.name)
            ).scalar()
            if taken is None and session.get(LeaderLease, name) is None:
                session.add(LeaderLease(name=name, holder=holder, until=now + lease))
                session.flush()
                return True
            return taken is not None
    except IntegrityError:
        return False
