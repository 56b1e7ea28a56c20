"""Tables of what the authority has signed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from controlplane.db import Base, BigId
from controlplane.provisioning.models import Resource


class Certificate(Base):
    """证书: one that was signed; never changed but in its state, and never removed.

    `serial` is hexadecimal, `state` a `CertificateState`, `reason` a `Reason` while it is on the
    list. `key_id` is the SHA-256 of its public key. `request` is what the department pasted; empty
    where the key is ours.
    """

    __tablename__ = "certificate"
    __table_args__ = (sa.Index("ix_certificate_issuer_state", "issuer", "state"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    serial: Mapped[str] = mapped_column(sa.String(40), unique=True)
    issuer: Mapped[str] = mapped_column(sa.String(40))
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id"), index=True)
    names: Mapped[list[Any]]
    key_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    not_before: Mapped[datetime]
    not_after: Mapped[datetime] = mapped_column(index=True)
    pem: Mapped[str] = mapped_column(sa.Text)
    request: Mapped[str] = mapped_column(sa.Text, default="")
    state: Mapped[str] = mapped_column(sa.String(10))
    reason: Mapped[str] = mapped_column(sa.String(30), default="")
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    resource: Mapped[Resource] = relationship(lazy="joined")


class RevocationList(Base):
    """吊销列表: the newest list of each issuing authority, as it is served (DER)."""

    __tablename__ = "revocation_list"
    issuer: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    number: Mapped[int]
    this_update: Mapped[datetime]
    next_update: Mapped[datetime]
    der: Mapped[bytes] = mapped_column(sa.LargeBinary)
