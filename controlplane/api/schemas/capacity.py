"""Pools and quotas."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import Amounts, Names, Output, UtcTime
from controlplane.api.schemas.common import BoundSchema, DepartmentRef


class PoolSchema(Output):
    """`cloud_capacity` is what the cloud itself reports, beside what is declared in `bounds`."""

    code = ma.fields.String()
    name = Names()
    zone = ma.fields.String()
    engine = ma.fields.String()
    cloud = ma.fields.String()
    availability_zone = ma.fields.String()
    warning_percent = ma.fields.Integer()
    bounds = ma.fields.List(ma.fields.Nested(BoundSchema))
    cloud_capacity = Amounts(allow_none=True)
    cloud_read_at = UtcTime(allow_none=True)
    cloud_error = ma.fields.String()


class PoolList(Output):
    items = ma.fields.List(ma.fields.Nested(PoolSchema))


class QuotaSchema(Output):
    """What a department's whole subtree may hold in a zone."""

    department = ma.fields.Nested(DepartmentRef)
    zone = ma.fields.String()
    bounds = ma.fields.List(ma.fields.Nested(BoundSchema))


class QuotaList(Output):
    items = ma.fields.List(ma.fields.Nested(QuotaSchema))
