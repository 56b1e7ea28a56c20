"""Prices, and what a month cost, down to the ledger line."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import Amounts, EpochTime, Names, Output
from controlplane.api.schemas.common import DepartmentRef


class DepartmentTotal(Output):
    department = ma.fields.Nested(DepartmentRef)
    resources = ma.fields.Integer()
    total_micro_yuan = ma.fields.Integer(attribute="micro_yuan")
    micro_yuan_by_item = Amounts()
    unit_seconds_by_item = Amounts(
        attribute="unit_seconds", metadata={"description": "Quantity x seconds held, by item."}
    )


class MonthSchema(Output):
    """`counted_until` is the end of the month, or now while it runs."""

    month = ma.fields.Function(lambda m: f"{m.year:04d}-{m.month:02d}", metadata={"type": "string"})
    starts_at = EpochTime(attribute="start")
    ends_at = EpochTime(attribute="end")
    counted_until = EpochTime(attribute="until")
    is_running = ma.fields.Boolean()
    total_micro_yuan = ma.fields.Integer(attribute="micro_yuan")
    departments = ma.fields.List(ma.fields.Nested(DepartmentTotal))


class LineSchema(Output):
    """One item under one price: unit_seconds x price, rounded once."""

    item = ma.fields.String()
    unit_seconds = ma.fields.Integer()
    seconds = ma.fields.Integer()
    unit_quantity = ma.fields.Integer(attribute="price.unit_quantity")
    price_micro_yuan_per_hour = ma.fields.Integer(attribute="price.micro_yuan_per_hour")
    total_micro_yuan = ma.fields.Integer(attribute="micro_yuan")


class UsedSchema(Output):
    """Of all samples of a time: the mean, and the largest; CPU in thousandths of a core."""

    cpu_millicores_mean = ma.fields.Integer()
    cpu_millicores_peak = ma.fields.Integer()
    memory_mib_mean = ma.fields.Integer()
    memory_mib_peak = ma.fields.Integer()


class ResourceMonthSchema(Output):
    id = ma.fields.UUID(attribute="resource.id")
    number = ma.fields.String(attribute="resource.number")
    name = ma.fields.String(attribute="resource.name")
    service = ma.fields.String(attribute="resource.service")
    total_micro_yuan = ma.fields.Integer(attribute="micro_yuan")
    lines = ma.fields.List(ma.fields.Nested(LineSchema))
    used = ma.fields.Nested(
        UsedSchema,
        allow_none=True,
        metadata={"description": "Beside what was held; null where the cloud does not tell."},
    )


class DepartmentMonthSchema(Output):
    month = ma.fields.String()
    department = ma.fields.Nested(DepartmentRef)
    total_micro_yuan = ma.fields.Integer()
    resources = ma.fields.List(ma.fields.Nested(ResourceMonthSchema))


class PriceSchema(Output):
    """Per `unit_quantity` of what is metered and hour, until the item's next price."""

    item = ma.fields.String()
    name = Names()
    unit = ma.fields.String()
    unit_quantity = ma.fields.Integer()
    starts_at = EpochTime(attribute="t0")
    price_micro_yuan_per_hour = ma.fields.Integer(attribute="micro_yuan_per_hour")


class PriceList(Output):
    items = ma.fields.List(ma.fields.Nested(PriceSchema))
