"""The journey of a request as people drive it: ask, decide, operate, retire.

Each public method is one transaction over several stages and is the only way in for pages, API and
command line; what machines do afterwards is in `delivery`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from controlplane import audit, policy
from controlplane.admission import service as admission
from controlplane.approval import service as approval
from controlplane.approval.models import ApprovalStep
from controlplane.approval.rules import Decision, Outcome
from controlplane.audit import Actor
from controlplane.catalogue.services import Service
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.db import Database
from controlplane.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    OwnRequest,
    StateConflict,
)
from controlplane.jobs import lock_changeable, onboard_department, start_delivery
from controlplane.machines import holder_id
from controlplane.policy import Subject
from controlplane.preparing import Preparation, prepare
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Resource
from controlplane.service_requests import service as requests
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.rules import RequestState
from controlplane.standing import lock_base
from controlplane.tenancy.models import Department
from controlplane.tenancy.service import get_department
from controlplane.text import without_control_characters


@dataclass(frozen=True)
class Ask:
    """What a person asks: an action of a service, with a filled form.

    `resource_id` names the resource that a change is for. `request_id` continues a draft or a
    returned request. `submission_key` is drawn when the form is shown: sent twice, it counts once.
    """

    service: str
    action: str
    zone: str
    form: Mapping[str, Any]
    resource_id: str | None = None
    request_id: int | None = None
    submission_key: str | None = None
    department_id: int | None = None


class Pipeline:
    """Use cases that cross stages. `catalogue` is by service code."""

    def __init__(
        self,
        db: Database,
        catalogue: Catalogue,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.settings = settings
        self.clock = clock

    # --- asking ---------------------------------------------------------------------------------

    def prepare(self, subject: Subject, ask: Ask) -> Preparation:
        """What the form would come to: capacity, price, effect on quota and pool, offices, and
        every fault. Changes nothing. Errors: Forbidden, NotFound."""
        with self.db.read() as session:
            department = self._department_for(session, subject, ask)
            return prepare(session, self.catalogue, ask, department, self.clock())

    def save_draft(self, subject: Subject, ask: Ask) -> int:
        """Keeps the form as it is, faults and all; returns the request's id."""
        now = self.clock()
        with self.db.transaction() as session:
            department = self._department_for(session, subject, ask)
            preparation = prepare(session, self.catalogue, ask, department, now)
            if ask.submission_key and ask.request_id is None:
                twin = requests.find_submission(session, subject.person_id, ask.submission_key)
                ask = dataclasses.replace(ask, request_id=twin.id) if twin else ask
            request = self._draft(session, subject, ask, department, preparation)
            return request.id

    def submit_request(self, subject: Subject, ask: Ask) -> int:
        """Submits: number, hold, first step; returns the request's id.

        The same `submission_key` again returns the request it already made. Errors: InvalidInput
        with every fault, AdmissionRefused, StateConflict, Forbidden, NotFound.
        """
        try:
            with self.db.transaction() as session:
                return self._submit(session, subject, ask)
        except IntegrityError:
            # Two of the same form at once (PostgreSQL): the other one won.
            with self.db.read() as session:
                key = ask.submission_key or ""
                winner = requests.find_submission(session, subject.person_id, key)
                if winner is None:
                    raise
                return winner.id

    def _submit(self, session: Session, subject: Subject, ask: Ask) -> int:
        now = self.clock()
        if ask.submission_key:
            twin = requests.find_submission(session, subject.person_id, ask.submission_key)
            if twin is not None and not _is_continued(twin, ask):
                return twin.id
            if twin is not None:
                ask = dataclasses.replace(ask, request_id=twin.id)
        department = self._department_for(session, subject, ask)
        if ask.resource_id is not None:
            provisioning.lock_resource(session, ask.resource_id)  # two changes at once: one waits
        preparation = prepare(session, self.catalogue, ask, department, now)
        if preparation.faults:
            raise InvalidInput(preparation.faults)
        request = self._draft(session, subject, ask, department, preparation)
        requests.move_request(request, "submit", now)
        requests.number_request(session, request, now)
        request.resource_id = request.resource_id or provisioning.new_resource_id()
        lock_base(session, preparation.service, preparation.asked.spec)  # before any counter
        pool = preparation.pool
        admission.hold(
            session,
            _claimant(request, department, preparation.service),
            pool,
            preparation.asked_capacity,
            now,
        )
        request.pool = pool.code if pool else None
        session.flush()
        self._audit(session, subject, "request_submitted", request)
        if pool is not None:
            onboard_department(session, self.settings, department, pool, now)
        if preparation.action.approval_chain is None:
            self._approve(session, request, subject)
        else:
            approval.start_round(session, request.id, preparation.action.approval_chain, now)
        return request.id

    def _draft(
        self,
        session: Session,
        subject: Subject,
        ask: Ask,
        department: Department,
        preparation: Preparation,
    ) -> ServiceRequest:
        """The request the form continues, with the new form in it, or a new draft."""
        asked = preparation.asked
        if ask.request_id is None:
            return requests.new_request(
                session,
                department_id=department.id,
                applicant_id=subject.person_id,
                asked=asked,
                now=self.clock(),
                submission_key=ask.submission_key,
            )
        request = requests.lock_request(session, ask.request_id)
        if request.state not in (RequestState.DRAFT, RequestState.RETURNED):
            raise StateConflict(state=request.state)
        kept_id = request.resource_id
        requests.revise_request(request, asked)
        request.resource_id = asked.resource_id or kept_id
        return request

    def withdraw_request(self, subject: Subject, request_id: int, reason: str = "") -> None:
        """Errors: NotFound, Forbidden, StateConflict."""
        now = self.clock()
        reason = without_control_characters(reason, lines=True)[:500]
        with self.db.transaction() as session:
            request = self._visible_request(session, subject, request_id)
            self._require(subject, "request.withdraw", request.department)
            requests.move_request(request, "withdraw", now, reason)
            approval.drop_steps(session, request.id)
            admission.release_request(session, request.id, now)
            self._audit(session, subject, "request_withdrawn", request, reason=reason)

    # --- deciding -------------------------------------------------------------------------------

    def decide_request(
        self, subject: Subject, request_id: int, step_id: int, decision: Decision, opinion: str
    ) -> Outcome:
        """Decides the step whose turn it is; the last agreement allocates and starts delivery.

        `step_id` is the step the person saw: if another has its turn by now, nothing happens.
        Errors: NotFound, Forbidden, OwnRequest, InvalidInput, StateConflict.
        """
        now = self.clock()
        with self.db.transaction() as session:
            request = self._visible_request(session, subject, request_id)
            step = self._step_to_decide(session, subject, request, step_id)
            outcome = approval.decide_step(
                session, step, decision, opinion, person_id=subject.person_id, now=now
            )
            self._audit(
                session,
                subject,
                "step_decided",
                request,
                office=step.office.code,
                decision=decision.value,
                opinion=opinion,
            )
            if outcome is Outcome.APPROVED:
                self._approve(session, request, subject)
            elif outcome is not Outcome.NEXT_STEP:
                event = "return" if outcome is Outcome.RETURNED else "refuse"
                requests.move_request(request, event, now, opinion)
                admission.release_request(session, request.id, now)
                self._audit(session, subject, f"request_{outcome.value}", request)
            return outcome

    def _step_to_decide(
        self, session: Session, subject: Subject, request: ServiceRequest, step_id: int
    ) -> ApprovalStep:
        step = session.get(ApprovalStep, step_id)
        if step is None or step.request_id != request.id:
            raise NotFound
        if not policy.is_allowed(subject, "request.decide", office_ids=[step.office_id]):
            raise Forbidden
        if request.applicant_id == subject.person_id:
            raise OwnRequest
        if request.state != RequestState.IN_APPROVAL:
            raise StateConflict(state=request.state)
        return step

    def _approve(self, session: Session, request: ServiceRequest, subject: Subject) -> None:
        """Approval, allocation and job in one transaction. Errors: as `start_delivery`."""
        now = self.clock()
        service = self.catalogue.of(request)
        action = service.actions[request.action]
        if action.kind == "change" and request.resource_id is not None:
            lock_changeable(session, action, request.resource_id)  # before any counter
        lock_base(session, service, request.spec)
        requests.move_request(request, "approve", now)
        admission.allocate(session, request.id, now)
        start_delivery(session, self.settings, self.catalogue, service, request, now)
        self._audit(session, subject, "request_approved", request, pool=request.pool)

    # --- helpers --------------------------------------------------------------------------------

    def _visible_request(
        self, session: Session, subject: Subject, request_id: int
    ) -> ServiceRequest:
        request = requests.lock_request(session, request_id)
        offices = approval.office_ids_of(session, request_id)
        if not policy.is_allowed(
            subject,
            "request.view",
            department_path=request.department.path,
            office_ids=offices,
        ):
            raise NotFound
        return request

    def _department_for(self, session: Session, subject: Subject, ask: Ask) -> Department:
        """Whose quota and bill it is: of the request continued or the resource changed, else the
        department asked for, else the person's own. Errors: NotFound, Forbidden."""
        thing = (
            session.get(ServiceRequest, ask.request_id)
            if ask.request_id is not None
            else session.get(Resource, ask.resource_id)
            if ask.resource_id is not None
            else None
        )
        if thing is None and (ask.request_id is not None or ask.resource_id is not None):
            raise NotFound
        if thing is None:
            department = get_department(session, ask.department_id or subject.department_id)
            self._require(subject, "request.create", department)
            return department
        path = thing.department.path
        if not policy.is_allowed(subject, "request.create", department_path=path):
            raise NotFound
        return thing.department

    @staticmethod
    def _require(subject: Subject, action: str, department: Department) -> None:
        if not policy.is_allowed(subject, action, department_path=department.path):
            raise Forbidden

    def _audit(
        self, session: Session, subject: Subject, event: str, request: ServiceRequest, **data: Any
    ) -> None:
        audit.record(
            session,
            Actor(subject.person_id, subject.name),
            event,
            at=self.clock(),
            object_type="service_request",
            object_id=request.number or str(request.id),
            department_id=request.department_id,
            **data,
        )


def _is_continued(request: ServiceRequest, ask: Ask) -> bool:
    """Whether a form with the key of a request goes on with it: a draft, or a returned one that is
    made good; its very first form sent again does not."""
    is_made_good = request.state == RequestState.RETURNED and ask.request_id == request.id
    return is_made_good or request.state == RequestState.DRAFT


def _claimant(
    request: ServiceRequest, department: Department, service: Service
) -> admission.Claimant:
    assert request.resource_id is not None
    holder = holder_id(service, request.spec, request.resource_id)
    return admission.Claimant(request.id, holder, department, request.zone)
