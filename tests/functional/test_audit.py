"""The audit trail: append-only, and whoever goes around that is found out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from controlplane import audit
from controlplane.audit import AuditEvent, AuditSeal
from controlplane.ticks import Ticks
from tests.factories import City


def seal(city: City) -> int:
    return Ticks(city.control_plane, {}, "test:1").seal_audit()


def verify(city: City) -> tuple[int, int | None]:
    with city.control_plane.db.read() as session:
        return audit.verify_chain(session)


@pytest.fixture
def sealed(city: City) -> City:
    """A city in which something happened, and all of it is sealed."""
    city.approve(city.submit())
    assert seal(city) > 5
    return city


@contextmanager
def behind_its_back(city: City) -> Iterator[sa.Connection]:
    """What somebody with the database's own password can do: no trigger, no foreign key."""
    engine = sa.create_engine(city.control_plane.db.url)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":  # foreign keys are off unless switched on
            triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for name in connection.execute(sa.text(triggers)).scalars().all():
                connection.execute(sa.text(f"DROP TRIGGER {name}"))
        else:
            connection.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
            connection.execute(sa.text("SET LOCAL session_replication_role = 'replica'"))
        yield connection
    engine.dispose()


def event_at(city: City, position: int) -> int:
    with city.control_plane.db.read() as session:
        return session.get_one(AuditSeal, position).event_id


def test_every_step_of_a_request_leaves_an_event_in_an_unbroken_chain(sealed: City) -> None:
    with sealed.control_plane.db.read() as session:
        events = session.scalars(
            sa.select(AuditEvent.event)
            .where(AuditEvent.object_type == "service_request")
            .order_by(AuditEvent.id)
        ).all()
    assert events == ["request_submitted", "step_decided", "step_decided", "request_approved"]
    good, broken = verify(sealed)
    assert broken is None
    assert good > 5
    assert seal(sealed) == 0, "what is sealed is not sealed again"
    sealed.submit()
    assert seal(sealed) == 1
    assert verify(sealed) == (good + 1, None)


@pytest.mark.parametrize("table", ["audit_event", "audit_seal"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {table} SET {column} = 'x'", "DELETE FROM {table}"],
)
def test_the_database_itself_refuses_to_change_it(sealed: City, table: str, statement: str) -> None:
    column = "actor_name" if table == "audit_event" else "hash"
    before = verify(sealed)
    with (
        pytest.raises(sa.exc.DBAPIError, match=f"{table} is append-only"),
        sealed.control_plane.db.engine.begin() as connection,
    ):
        connection.execute(sa.text(statement.format(table=table, column=column)))
    assert verify(sealed) == before


@pytest.mark.parametrize(
    "change",
    [
        {"actor_name": "somebody else"},
        {"event": "step_undecided"},
        {"object_id": "SQ-2026-999999"},
        {"address": "192.0.2.1"},
        {"data": {"decision": "refuse"}},
        {"department_id": None},
        {"actor_id": None},
    ],
)
def test_an_edited_event_is_found_at_its_position(sealed: City, change: dict[str, object]) -> None:
    with sealed.control_plane.db.read() as session:
        event_id = session.scalars(
            sa.select(AuditEvent.id)
            .where(AuditEvent.event == "step_decided")
            .order_by(AuditEvent.id)
        ).first()
        position = session.scalars(
            sa.select(AuditSeal.position).where(AuditSeal.event_id == event_id)
        ).one()
    with behind_its_back(sealed) as connection:
        connection.execute(sa.update(AuditEvent).where(AuditEvent.id == event_id).values(**change))
    assert verify(sealed) == (position - 1, position)


def test_a_time_that_was_moved_is_found(sealed: City) -> None:
    with behind_its_back(sealed) as connection:
        connection.execute(
            sa.update(AuditEvent)
            .where(AuditEvent.id == event_at(sealed, 3))
            .values(at=sealed.clock.now.replace(hour=0))
        )
    assert verify(sealed) == (2, 3)


def test_a_seal_that_was_removed_is_found(sealed: City) -> None:
    with behind_its_back(sealed) as connection:
        connection.execute(sa.delete(AuditSeal).where(AuditSeal.position == 4))
    assert verify(sealed) == (3, 4)


def test_an_event_that_was_removed_is_found(sealed: City) -> None:
    event_id = event_at(sealed, 4)
    with behind_its_back(sealed) as connection:
        connection.execute(sa.delete(AuditEvent).where(AuditEvent.id == event_id))
    assert verify(sealed) == (3, 4)


def test_two_events_that_changed_places_are_found(sealed: City) -> None:
    first, second = event_at(sealed, 3), event_at(sealed, 4)
    with behind_its_back(sealed) as connection:
        for position, event_id in ((3, -1), (4, first), (3, second)):
            connection.execute(
                sa.update(AuditSeal).where(AuditSeal.position == position).values(event_id=event_id)
            )
    assert verify(sealed) == (2, 3)


def test_an_event_that_was_added_behind_the_chain_s_back_only_comes_last(sealed: City) -> None:
    """An event is sealed where it is found: nobody can write history into the past."""
    good, _ = verify(sealed)
    with sealed.control_plane.db.transaction() as session:
        audit.record(
            session,
            audit.SYSTEM,
            "backdated",
            at=sealed.clock.now.replace(year=2020),
            object_type="test",
            object_id="x",
        )
    seal(sealed)
    with sealed.control_plane.db.read() as session:
        event = session.get_one(AuditEvent, event_at(sealed, good + 1))
        assert event.event == "backdated"
    assert verify(sealed) == (good + 1, None)


def test_nothing_is_written_about_what_did_not_happen(city: City) -> None:
    with city.control_plane.db.read() as session:
        before = session.scalar(sa.select(sa.func.count()).select_from(AuditEvent))
    with pytest.raises(Exception, match=r"invalid_input|plan"):
        city.submit(plan="huge")
    with city.control_plane.db.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(AuditEvent)) == before
