"""Asking, and the story of what was asked."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import (
    ID_MAX,
    Amounts,
    Choice,
    Flag,
    FormObject,
    Input,
    Names,
    Output,
    Text,
    UtcTime,
    WholeNumber,
    absent,
)
from controlplane.api.paging import PageQuery
from controlplane.api.schemas.common import (
    DepartmentRef,
    EventSchema,
    Flattened,
    JobStepSchema,
    JobSummary,
    PageSchema,
    PersonRef,
    ResourceRef,
)
from controlplane.approval.rules import OPINION_MAX_LENGTH, Decision, Outcome
from controlplane.service_requests.rules import RequestState

REASON_MAX_LENGTH = 500


class AskBody(Input):
    """What is asked: a service's action with its filled form."""

    service = Text(max_length=40, required=True)
    action = Text(max_length=40, load_default="provision")
    zone = Text(
        max_length=20,
        load_default=str,
        metadata={"description": "Network zone; a change stays in its resource's."},
    )
    form = FormObject(required=True)
    resource_id = ma.fields.UUID(
        load_default=absent,
        error_messages={"invalid_uuid": "field_pattern", "null": "field_type"},
        metadata={"description": "The resource that a change is for."},
    )
    department_id = WholeNumber(
        minimum=1,
        maximum=ID_MAX,
        load_default=absent,
        allow_none=True,
        metadata={"description": "For whom, if not for one's own department."},
    )


class ResubmissionBody(Input):
    """A returned request with its form made good."""

    form = FormObject(required=True)
    zone = Text(max_length=20, load_default=str, metadata={"description": "Unchanged if left out."})


class WithdrawalBody(Input):
    reason = Text(max_length=REASON_MAX_LENGTH, lines=True, load_default=str)


class DecisionBody(Input):
    """`step_id` is the step one saw: if another has its turn by now, nothing happens."""

    step_id = WholeNumber(minimum=1, maximum=ID_MAX, required=True)
    decision = Choice(Decision, required=True)
    opinion = Text(
        max_length=OPINION_MAX_LENGTH,
        lines=True,
        load_default=str,
        metadata={"description": "Required to return or refuse."},
    )


class RequestQuery(PageQuery):
    state = Choice(RequestState, load_default=str)
    service = Text(max_length=40, load_default=str)
    zone = Text(max_length=20, load_default=str)
    text = Text(max_length=100, load_default=str, metadata={"description": "In number or title."})
    mine = Flag(load_default=False)
    open_only = Flag(load_default=False)


class RequestSummary(Output):
    id = ma.fields.Integer()
    number = ma.fields.String(allow_none=True)
    service = ma.fields.String()
    service_version = ma.fields.String()
    action = ma.fields.String()
    title = ma.fields.String()
    zone = ma.fields.String()
    pool = ma.fields.String(allow_none=True)
    state = ma.fields.String()
    reason = ma.fields.String()
    department = ma.fields.Nested(DepartmentRef)
    applicant = ma.fields.Nested(PersonRef)
    resource_id = ma.fields.UUID(allow_none=True)
    monthly_micro_yuan = ma.fields.Integer()
    created_at = UtcTime()
    submitted_at = UtcTime(allow_none=True)
    decided_at = UtcTime(allow_none=True)
    closed_at = UtcTime(allow_none=True)


class RequestPage(PageSchema):
    items = ma.fields.List(ma.fields.Nested(RequestSummary))


class OfficeRef(Output):
    id = ma.fields.Integer()
    code = ma.fields.String()
    name = Names()


class StepSchema(Output):
    id = ma.fields.Integer()
    round = ma.fields.Integer()
    ordinal = ma.fields.Integer()
    office = ma.fields.Nested(OfficeRef)
    name = Names()
    state = ma.fields.String()
    time_limit_working_days = ma.fields.Integer(allow_none=True)
    started_at = UtcTime(allow_none=True)
    due_at = UtcTime(allow_none=True)
    decided_at = UtcTime(allow_none=True)
    decided_by = ma.fields.Nested(PersonRef, allow_none=True)
    opinion = ma.fields.String()


class RequestStorySchema(RequestSummary, Flattened):
    """A request with its steps, jobs and resource; `job_steps` are those of the last job."""

    about = "request"
    form = ma.fields.Dict()
    spec = ma.fields.Dict()
    capacity = Amounts()
    steps = ma.fields.List(ma.fields.Nested(StepSchema))
    jobs = ma.fields.List(ma.fields.Nested(JobSummary))
    job_steps = ma.fields.List(ma.fields.Nested(JobStepSchema))
    resource = ma.fields.Nested(ResourceRef, allow_none=True)
    events = ma.fields.List(ma.fields.Nested(EventSchema))


class DecisionAnswer(Output):
    outcome = ma.fields.String(metadata={"enum": [o.value for o in Outcome]})
    request = ma.fields.Nested(RequestStorySchema)


class PendingItem(Output):
    step = ma.fields.Nested(StepSchema)
    request = ma.fields.Nested(RequestSummary)


class PendingPage(PageSchema):
    items = ma.fields.List(ma.fields.Nested(PendingItem))
