"""What was provisioned, and what is done with it."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import (
    ID_MAX,
    Amounts,
    Choice,
    EpochTime,
    FormObject,
    Input,
    Moment,
    Output,
    Text,
    UtcTime,
    WholeNumber,
)
from controlplane.api.paging import PageQuery
from controlplane.api.schemas.common import (
    DepartmentRef,
    EventSchema,
    Flattened,
    JobSummary,
    PageSchema,
    ResourceRef,
)
from controlplane.approval.rules import Decision
from controlplane.provisioning.filling import DiskLevel
from controlplane.provisioning.rules import ResourceState


class ResourceQuery(PageQuery):
    state = Choice(
        ResourceState, load_default=str, metadata={"description": "All that is held if left out."}
    )
    service = Text(max_length=40, load_default=str)
    zone = Text(max_length=20, load_default=str)
    department_id = WholeNumber(minimum=1, maximum=ID_MAX, from_text=True, load_default=int)
    text = Text(
        max_length=100, load_default=str, metadata={"description": "In number, name or address."}
    )


class ActionBody(Input):
    form = FormObject(load_default=dict)


class NameBody(Input):
    name = Text(
        max_length=120,
        required=True,
        metadata={"description": "The resource's name, typed again: what follows destroys it."},
    )


class SecondPersonBody(Input):
    decision = Choice(
        [Decision.AGREE, Decision.REFUSE],
        required=True,
        metadata={"description": "Who asked may only refuse, which takes the ask back."},
    )
    opinion = Text(max_length=500, load_default=str, metadata={"description": "Why not."})
    name = Text(
        max_length=120,
        load_default=str,
        metadata={"description": "The resource's name, to agree to what destroys it."},
    )


class AskSchema(Output):
    """What one person asked for a protected resource and waits for another's agreement."""

    id = ma.fields.Integer()
    act = ma.fields.String()
    detail = ma.fields.Dict(
        metadata={
            "description": "Number of the `backup`, or number and id of the `other` resource."
        }
    )
    asked_by = ma.fields.String(attribute="asked_by.name")
    asked_at = UtcTime()


class RenewalBody(Input):
    months = WholeNumber(minimum=1, maximum=1200, required=True)
    expires_at = Moment(
        required=True,
        metadata={
            "description": "The lease's end as you saw it: the same renewal sent twice counts once."
        },
    )


class ReasonBody(Input):
    reason = Text(
        max_length=200,
        load_default=str,
        metadata={"description": "Needed from the second look on; the audit trail keeps it."},
    )
    account = Text(
        max_length=40,
        load_default=str,
        metadata={"description": "One of `outputs.accounts` by its name; empty: the main one."},
    )


class SnippetSchema(Output):
    code = ma.fields.String()
    title = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    text = ma.fields.String()


class ConnectionSchema(Output):
    secrets = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    snippets = ma.fields.List(ma.fields.Nested(SnippetSchema))


class ResourceSummary(Output):
    id = ma.fields.UUID()
    number = ma.fields.String()
    name = ma.fields.String()
    service = ma.fields.String()
    service_version = ma.fields.String()
    department = ma.fields.Nested(DepartmentRef)
    zone = ma.fields.String()
    pool = ma.fields.String(attribute="pool_code")
    state = ma.fields.String()
    capacity = Amounts()
    request_id = ma.fields.Integer()
    parent_id = ma.fields.UUID(allow_none=True)
    created_at = UtcTime()
    delivered_at = UtcTime(allow_none=True)
    expires_at = UtcTime(allow_none=True)
    retire_at = UtcTime(allow_none=True)
    retired_at = UtcTime(allow_none=True)
    is_protected = ma.fields.Boolean()
    lease_suspended_at = UtcTime(
        allow_none=True,
        metadata={"description": "Its lease is over and was not renewed; renewing brings it back."},
    )


class ResourcePage(PageSchema):
    items = ma.fields.List(ma.fields.Nested(ResourceSummary))


class IntervalSchema(Output):
    """Held quantity of one item, half open in time; `ended_at` null: still held."""

    item = ma.fields.String()
    quantity = ma.fields.Integer()
    started_at = EpochTime(attribute="t0")
    ended_at = EpochTime(attribute="t1", allow_none=True)
    request_number = ma.fields.String()


class DiskSchema(Output):
    """What the data took of the plan's disk when they were last measured."""

    used_bytes = ma.fields.Integer()
    limit_gib = ma.fields.Integer()
    level = ma.fields.String(metadata={"enum": [level.value for level in DiskLevel]})
    is_read_only = ma.fields.Boolean()
    measured_at = UtcTime()


class ResourceStorySchema(ResourceSummary, Flattened):
    about = "resource"
    spec = ma.fields.Dict()
    outputs = ma.fields.Dict(metadata={"description": "Addresses and ids on the cloud."})
    busy = ma.fields.Boolean()
    awaited = ma.fields.Nested(AskSchema, allow_none=True)
    disk = ma.fields.Nested(DiskSchema, allow_none=True)
    parent = ma.fields.Nested(ResourceRef, allow_none=True)
    standing_on_it = ma.fields.List(ma.fields.Nested(ResourceRef))
    jobs = ma.fields.List(ma.fields.Nested(JobSummary))
    events = ma.fields.List(ma.fields.Nested(EventSchema))
    intervals = ma.fields.List(ma.fields.Nested(IntervalSchema))
