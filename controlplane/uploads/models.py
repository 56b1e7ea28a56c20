"""Table of what departments have uploaded."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, BigId


class Upload(Base):
    """上传件: an archive of a department's, by its content; what two departments upload alike lies
    once in the store and has a row for each.

    `root` is the one folder that all its files lie in, or nothing.
    """

    __tablename__ = "upload"
    __table_args__ = (sa.UniqueConstraint("department_id", "sha256"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    department_id: Mapped[int] = mapped_column(sa.ForeignKey("department.id"), index=True)
    sha256: Mapped[str] = mapped_column(sa.String(64), index=True)
    filename: Mapped[str] = mapped_column(sa.String(120))
    format: Mapped[str] = mapped_column(sa.String(10))
    size_bytes: Mapped[int]
    unpacked_bytes: Mapped[int]
    members: Mapped[int]
    root: Mapped[str] = mapped_column(sa.String(255))
    uploaded_by_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    uploaded_at: Mapped[datetime]
