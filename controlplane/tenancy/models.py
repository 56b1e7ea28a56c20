"""Tables of departments, people, roles, sessions and tokens."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from controlplane.db import Base, BigId


class Department(Base):
    """部门, a node in the tree of 市 / 区市 / 街道 / 社区; `path` is "/1/4/9/" down to itself."""

    __tablename__ = "department"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name_zh: Mapped[str] = mapped_column(sa.String(120))
    name_en: Mapped[str] = mapped_column(sa.String(120))
    level: Mapped[str] = mapped_column(sa.String(20))
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("department.id"))
    path: Mapped[str] = mapped_column(sa.String(200), index=True, default="")
    #: Names below it are the department's to have certificates for; None: none are.
    domain: Mapped[str | None] = mapped_column(sa.String(253), index=True, unique=True)

    parent: Mapped[Department | None] = relationship(remote_side=[id])

    def ancestor_ids(self) -> list[int]:
        """Ids from the root down to the department itself."""
        return [int(part) for part in self.path.split("/") if part]


class Office(Base):
    """审批单位, an office that decides a step; it belongs to a department."""

    __tablename__ = "office"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name_zh: Mapped[str] = mapped_column(sa.String(120))
    name_en: Mapped[str] = mapped_column(sa.String(120))
    department_id: Mapped[int] = mapped_column(sa.ForeignKey("department.id"), index=True)


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    login: Mapped[str] = mapped_column(sa.String(64), unique=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    department_id: Mapped[int] = mapped_column(sa.ForeignKey("department.id"), index=True)
    password_hash: Mapped[str] = mapped_column(sa.String(200))
    active: Mapped[bool] = mapped_column(default=True)
    failed_sign_ins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    last_sign_in_at: Mapped[datetime | None]

    department: Mapped[Department] = relationship(lazy="joined")
    grants: Mapped[list[RoleGrant]] = relationship(
        back_populates="person", lazy="selectin", cascade="all, delete-orphan"
    )


class RoleGrant(Base):
    """A role of a person, for a department's subtree or, for approvers, for an office.

    Both None means: for the whole city.
    """

    __tablename__ = "role_grant"
    __table_args__ = (sa.UniqueConstraint("person_id", "role", "department_id", "office_id"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), index=True)
    role: Mapped[str] = mapped_column(sa.String(20))
    department_id: Mapped[int | None] = mapped_column(sa.ForeignKey("department.id"))
    office_id: Mapped[int | None] = mapped_column(sa.ForeignKey("office.id"), index=True)

    person: Mapped[Person] = relationship(back_populates="grants")
    department: Mapped[Department | None] = relationship(lazy="joined")
    office: Mapped[Office | None] = relationship(lazy="joined")


class SignInSession(Base):
    """A signed-in browser; only the hash of its secret is kept, so that a leak signs nobody in."""

    __tablename__ = "sign_in_session"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    secret_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class SavedView(Base):
    """A list's filters under a name, for one person; `query` is the address's, as `a=1&b=2`."""

    __tablename__ = "saved_view"
    __table_args__ = (sa.UniqueConstraint("person_id", "list_name", "name"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), index=True)
    list_name: Mapped[str] = mapped_column(sa.String(40))
    name: Mapped[str] = mapped_column(sa.String(40))
    query: Mapped[str] = mapped_column(sa.String(500))
    created_at: Mapped[datetime]


class ApiToken(Base):
    """Bearer token of a person for `/api/v1`; shown once, kept as a hash."""

    __tablename__ = "api_token"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    secret_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
