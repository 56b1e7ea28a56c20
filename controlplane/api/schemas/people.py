"""The person behind the token."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import Output
from controlplane.api.schemas.common import DepartmentRef


class RoleSchema(Output):
    """A role; `department_path` is the subtree it holds for (null: the whole city)."""

    role = ma.fields.String()
    department_path = ma.fields.String(allow_none=True)
    office_id = ma.fields.Integer(allow_none=True)


class MeSchema(Output):
    id = ma.fields.Integer()
    name = ma.fields.String()
    department = ma.fields.Nested(DepartmentRef)
    roles = ma.fields.List(ma.fields.Nested(RoleSchema))
    may = ma.fields.List(
        ma.fields.String(), metadata={"description": "Policy actions open to this person."}
    )
