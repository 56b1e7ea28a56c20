"""Filters of a list that a person keeps under a name of their own."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.errors import Fault, InvalidInput, NotFound
from controlplane.policy import Subject
from controlplane.tenancy.models import Person, SavedView

#: More would be a list that needs filters of its own.
VIEWS_MAX = 12


def views_of(session: Session, subject: Subject, list_name: str) -> list[SavedView]:
    """Oldest first."""
    return list(
        session.scalars(
            sa.select(SavedView)
            .where(SavedView.person_id == subject.person_id, SavedView.list_name == list_name)
            .order_by(SavedView.id)
        )
    )


def save_view(
    session: Session, subject: Subject, list_name: str, name: str, query: str, now: datetime
) -> None:
    """A name that is taken means the new filters from now on, so sent twice it counts once.

    Errors: InvalidInput when there are VIEWS_MAX already.
    """
    # The person's row is the lock: two windows at once neither pass the limit nor take one name.
    session.execute(sa.select(Person.id).where(Person.id == subject.person_id).with_for_update())
    views = views_of(session, subject, list_name)
    view = next((v for v in views if v.name == name), None)
    if view is not None:
        view.query = query
        return
    if len(views) >= VIEWS_MAX:
        raise InvalidInput([Fault("field_too_many", "name", {"limit": VIEWS_MAX})])
    session.add(
        SavedView(
            person_id=subject.person_id,
            list_name=list_name,
            name=name,
            query=query,
            created_at=now,
        )
    )


def forget_view(session: Session, subject: Subject, view_id: int) -> None:
    """Errors: NotFound, also when it is somebody else's."""
    view = session.get(SavedView, view_id)
    if view is None or view.person_id != subject.person_id:
        raise NotFound
    session.delete(view)
