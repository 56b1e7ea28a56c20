"""Rows of uploads."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.text import without_control_characters
from controlplane.uploads.archives import Checked
from controlplane.uploads.models import Upload
from controlplane.uploads.store import Draft

FILENAME_MAX = 120


def find_upload(session: Session, department_id: int, sha256: str) -> Upload | None:
    return session.scalar(
        sa.select(Upload).where(Upload.department_id == department_id, Upload.sha256 == sha256)
    )


def uploads_of(session: Session, department_id: int, limit: int = 200) -> list[Upload]:
    """A department's uploads, the newest first."""
    return list(
        session.scalars(
            sa.select(Upload)
            .where(Upload.department_id == department_id)
            .order_by(Upload.uploaded_at.desc(), Upload.id.desc())
            .limit(limit)
        )
    )


def bytes_of(session: Session, department_id: int) -> int:
    """What a department's uploads come to."""
    total = sa.func.coalesce(sa.func.sum(Upload.size_bytes), 0)
    return int(session.scalar(sa.select(total).where(Upload.department_id == department_id)) or 0)


def lock(session: Session) -> None:
    """Until the transaction ends nobody else notes or deletes an upload: what two departments have
    alike is one file, which must not go while the other's row comes."""
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer anyway
        session.execute(sa.text("LOCK TABLE upload IN SHARE ROW EXCLUSIVE MODE"))


def uploaded_before(session: Session, moment: datetime) -> list[Upload]:
    return list(
        session.scalars(sa.select(Upload).where(Upload.uploaded_at < moment).order_by(Upload.id))
    )


def is_noted(session: Session, sha256: str) -> bool:
    """Whether any department has it."""
    found = sa.select(sa.exists().where(Upload.sha256 == sha256))
    return bool(session.scalar(found))


def note_upload(
    session: Session,
    draft: Draft,
    checked: Checked,
    *,
    department_id: int,
    person_id: int,
    filename: str,
    now: datetime,
) -> Upload:
    """The row of an upload; uploaded again it becomes the newest, under its new name."""
    row = find_upload(session, department_id, draft.sha256)
    if row is None:
        row = Upload(
            department_id=department_id,
            sha256=draft.sha256,
            format=checked.format,
            size_bytes=draft.size_bytes,
            unpacked_bytes=checked.unpacked_bytes,
            members=checked.members,
            root=checked.root,
        )
        session.add(row)
    row.filename = clean_filename(filename)
    row.uploaded_by_id, row.uploaded_at = person_id, now
    session.flush()
    return row


def clean_filename(filename: str) -> str:
    """A file's name for people, without the folders that some browsers send along."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    return without_control_characters(last).strip()[:FILENAME_MAX] or "archive"
