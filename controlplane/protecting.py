"""Protecting a resource, and what a second person agrees to of a protected one."""

from __future__ import annotations

from sqlalchemy.orm import Session

from controlplane.approval.rules import Decision
from controlplane.clock import Clock
from controlplane.db import Database
from controlplane.errors import InvalidInput, StateConflict
from controlplane.guarding import actor_of, ask_second_person, decide_ask, lock_for
from controlplane.operations import Operations
from controlplane.policy import Subject
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.guards import GuardedAct, name_faults, needs_name
from controlplane.provisioning.models import Resource, TwoPersonAsk
from controlplane.provisioning.rules import PROTECTABLE
from controlplane.recovery import Recovery, lock_both


class Protecting:
    """Each public method is one transaction."""

    def __init__(
        self, db: Database, operations: Operations, recovery: Recovery, clock: Clock
    ) -> None:
        self.db = db
        self.operations = operations
        self.recovery = recovery
        self.clock = clock

    def protect_resource(self, subject: Subject, resource_id: str) -> None:
        """From now on destroying it, restoring in place and exchanging need a second person.

        Errors: NotFound, Forbidden, StateConflict (it is on its way out)."""
        with self.db.transaction() as session:
            resource = lock_for(session, subject, resource_id, "resource.protect")
            if resource.is_protected:
                return
            if resource.state not in PROTECTABLE:
                raise StateConflict(state=resource.state)
            resource.is_protected = True
            self._audit(session, subject, "resource_protected", resource)

    def unprotect_resource(self, subject: Subject, resource_id: str) -> int:
        """Asks for the protection to be taken off, which a second person has to agree to; returns
        the ask's id. Errors: NotFound, Forbidden, StateConflict (it is not protected)."""
        with self.db.transaction() as session:
            resource = lock_for(session, subject, resource_id, "resource.protect")
            if not resource.is_protected:
                raise StateConflict(state=resource.state)
            return ask_second_person(session, subject, resource, GuardedAct.UNPROTECT, self.clock())

    def decide_ask(
        self,
        subject: Subject,
        resource_id: str,
        ask_id: int,
        decision: Decision,
        opinion: str = "",
        typed_name: str = "",
    ) -> None:
        """A second person agrees, and it is done; or refuses. Who asked may only refuse.

        Errors: as `guarding.decide_ask`, and those of the act itself, which is checked again: then
        the ask goes on waiting.
        """
        with self.db.transaction() as session:
            asked = session.get(TwoPersonAsk, ask_id)
            if asked is not None and "other_id" in asked.detail:
                lock_both(session, resource_id, asked.detail["other_id"])
            resource = lock_for(session, subject, resource_id, "resource.second")
            now = self.clock()
            ask = decide_ask(session, subject, resource, ask_id, decision, opinion, now)
            if ask is not None:
                self._carry_out(session, subject, resource, ask, typed_name)

    def _carry_out(
        self,
        session: Session,
        subject: Subject,
        resource: Resource,
        ask: TwoPersonAsk,
        typed_name: str,
    ) -> None:
        act = GuardedAct(ask.act)
        faults = name_faults(typed_name, resource.name) if needs_name(act) else []
        if faults:
            raise InvalidInput(faults)
        actor = actor_of(subject)
        if act is GuardedAct.UNPROTECT:
            resource.is_protected = False
            self._audit(session, subject, "resource_unprotected", resource)
        elif act is GuardedAct.RETIRE:
            self.operations.check_retirement(session, resource, typed_name)
            self.operations.begin_retirement(session, actor, resource)
        elif act is GuardedAct.RESTORE:
            self.recovery.begin_restore(session, subject, resource, ask.detail["backup"])
        elif act is GuardedAct.EXCHANGE:
            other = provisioning.lock_resource(session, ask.detail["other_id"])
            self.recovery.begin_exchange(session, subject, resource, other)
        else:
            self.operations.check_destruction(session, resource, typed_name)
            self.operations.destroy_now(session, actor, resource)

    def _audit(self, session: Session, subject: Subject, event: str, resource: Resource) -> None:
        provisioning.audit_resource(session, actor_of(subject), event, resource, self.clock())
