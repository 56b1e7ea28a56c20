"""Backups of a resource, and the drills that prove them."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import Input, Moment, Output, Text, UtcTime, WholeNumber
from controlplane.api.paging import PageQuery
from controlplane.api.schemas.common import PageSchema
from controlplane.recovery import KEEP_DAYS_MAX


class BackupQuery(PageQuery):
    pass


class BackupBody(Input):
    moment = Moment(
        metadata={
            "description": "Of a moment before, from the archived log of its server; now, where it "
            "is left out. `moments` of the list tells from when to when."
        }
    )


class ScheduleBody(Input):
    daily_at = Text(max_length=5, required=True, metadata={"description": "`HH:MM`, Beijing time."})
    keep_days = WholeNumber(minimum=1, maximum=KEEP_DAYS_MAX, required=True)


class RestorationBody(Input):
    name = Text(
        max_length=120,
        required=True,
        metadata={"description": "The resource's name, typed again: its present data goes."},
    )


class ExchangeBody(Input):
    other_id = Text(
        max_length=36,
        required=True,
        metadata={"description": "A running resource of the same department, service and pool."},
    )
    name = Text(
        max_length=120,
        required=True,
        metadata={"description": "The resource's name, typed again."},
    )


class ScheduleSchema(Output):
    daily_at = ma.fields.String(metadata={"description": "`HH:MM`, Beijing time."})
    keep_days = ma.fields.Integer()


class BackupSchema(Output):
    number = ma.fields.String()
    kind = ma.fields.String(metadata={"description": "schedule, manual, moment or last."})
    state = ma.fields.String(
        metadata={"description": "pending, kept, failed, deleting or deleted."}
    )
    created_at = UtcTime()
    taken_at = UtcTime(allow_none=True)
    finished_at = UtcTime(allow_none=True)
    retained_until = UtcTime(allow_none=True)
    deleted_at = UtcTime(allow_none=True)
    size_bytes = ma.fields.Integer()
    manifest = ma.fields.Dict(
        metadata={"description": "Rows and checksum of each table, objects, versions."}
    )
    error = ma.fields.String()


class SpanSchema(Output):
    since = UtcTime()
    until = UtcTime()


class BackupPage(PageSchema):
    items = ma.fields.List(ma.fields.Nested(BackupSchema))
    moments = ma.fields.Nested(
        SpanSchema,
        allow_none=True,
        metadata={"description": "From when to when any moment can be had; null: none."},
    )


class DrillSchema(Output):
    id = ma.fields.Integer()
    backup = ma.fields.String(attribute="backup.number")
    result = ma.fields.String(metadata={"description": "pending, passed or failed."})
    created_at = UtcTime()
    finished_at = UtcTime(allow_none=True)
    rows_compared = ma.fields.Integer(allow_none=True)
    recovery_time_seconds = ma.fields.Float(allow_none=True)
    recovery_point_seconds = ma.fields.Integer(allow_none=True)
    difference = ma.fields.String()


class DrillPage(PageSchema):
    items = ma.fields.List(ma.fields.Nested(DrillSchema))
