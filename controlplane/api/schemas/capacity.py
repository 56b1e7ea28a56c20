"""Pools and quotas, and what was held of them day by day."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import Amounts, EpochTime, Input, Names, Output, UtcTime, WholeNumber
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


class HistoryQuery(Input):
    days = WholeNumber(minimum=1, maximum=366, from_text=True, load_default=30)


class HeldSeriesSchema(Output):
    """One amount for each of the history's `instants`; `bound` is today's capacity or quota."""

    dimension = ma.fields.String()
    bound = ma.fields.Integer(allow_none=True)
    amounts = ma.fields.List(ma.fields.Integer())


class OutlookSchema(Output):
    """The linear trend of a dimension; a day is null where it is not in sight."""

    dimension = ma.fields.String()
    change_per_day = ma.fields.Float(attribute="outlook.per_day")
    warning_on = ma.fields.Date(attribute="outlook.warning_on", allow_none=True)
    full_on = ma.fields.Date(attribute="outlook.full_on", allow_none=True)


class PlanFitSchema(Output):
    """How many of a plan alone would still fit; `short_of` is the dimension that ends it."""

    service = ma.fields.String(attribute="service.code")
    plan = ma.fields.String(attribute="plan.code")
    capacity = Amounts()
    count = ma.fields.Integer(attribute="fit.count")
    short_of = ma.fields.String(attribute="fit.short_of")


class PoolHistorySchema(Output):
    """`instants` are the ends of the days in Beijing, today's is now. `outlooks` leaves out a
    dimension with fewer than 7 days of data."""

    pool = ma.fields.String()
    instants = ma.fields.List(EpochTime())
    series = ma.fields.List(ma.fields.Nested(HeldSeriesSchema))
    outlooks = ma.fields.List(ma.fields.Nested(OutlookSchema))
    what_fits = ma.fields.List(ma.fields.Nested(PlanFitSchema))


class ZoneHistorySchema(Output):
    zone = ma.fields.String()
    series = ma.fields.List(ma.fields.Nested(HeldSeriesSchema))


class DepartmentHistorySchema(Output):
    """What the department's whole subtree held, by zone, beside its own quota."""

    month = ma.fields.String()
    department = ma.fields.Nested(DepartmentRef)
    instants = ma.fields.List(EpochTime())
    zones = ma.fields.List(ma.fields.Nested(ZoneHistorySchema))
