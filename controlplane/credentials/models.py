"""Tables of secrets."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, BigId


class Credential(Base):
    """凭据: one secret of a resource, sealed by the keyring.

    States: `next` (drawn for a rotation that is not through), `current`, `previous` (still valid on
    the server until `valid_until`). One row of each state at most for a resource and name.
    """

    __tablename__ = "credential"
    __table_args__ = (sa.UniqueConstraint("resource_id", "name", "state"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(40))
    state: Mapped[str] = mapped_column(sa.String(10))
    sealed: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime]
    shown_at: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]
