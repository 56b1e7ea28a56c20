"""Departments, people and the audit trail."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import Output, Text, UtcTime
from controlplane.api.paging import PageQuery
from controlplane.api.schemas.common import DepartmentRef, PageSchema


class DepartmentSchema(DepartmentRef):
    """`path` holds the ids from the root down to the department itself."""

    level = ma.fields.String()
    parent_id = ma.fields.Integer(allow_none=True)
    path = ma.fields.String()


class DepartmentList(Output):
    items = ma.fields.List(ma.fields.Nested(DepartmentSchema))


class GrantSchema(Output):
    """Without department and office a role holds for the whole city."""

    role = ma.fields.String()
    department_id = ma.fields.Integer(allow_none=True)
    office_id = ma.fields.Integer(allow_none=True)


class PersonSchema(Output):
    id = ma.fields.Integer()
    login = ma.fields.String()
    name = ma.fields.String()
    department = ma.fields.Nested(DepartmentRef)
    active = ma.fields.Boolean()
    roles = ma.fields.List(ma.fields.Nested(GrantSchema), attribute="grants")
    last_sign_in_at = UtcTime(allow_none=True)
    locked_until = UtcTime(allow_none=True)


class PersonPage(PageSchema):
    items = ma.fields.List(ma.fields.Nested(PersonSchema))


class AuditQuery(PageQuery):
    event = Text(max_length=60, load_default=str)
    object_id = Text(
        max_length=64, load_default=str, metadata={"description": "Such as a request's number."}
    )


class AuditEventSchema(Output):
    id = ma.fields.Integer()
    at = UtcTime()
    event = ma.fields.String()
    actor_id = ma.fields.Integer(allow_none=True)
    actor_name = ma.fields.String()
    address = ma.fields.String()
    object_type = ma.fields.String()
    object_id = ma.fields.String()
    department_id = ma.fields.Integer(allow_none=True)
    data = ma.fields.Dict()


class AuditPage(PageSchema):
    items = ma.fields.List(ma.fields.Nested(AuditEventSchema))
