"""What a filled form would come to."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import Amounts, Names, Output
from controlplane.api.openapi import FaultSchema


class EffectSchema(Output):
    """What the request does to one bound of a quota or the pool."""

    name = Names()
    dimension = ma.fields.String()
    used = ma.fields.Integer()
    asked = ma.fields.Integer()
    capacity = ma.fields.Integer()
    fits = ma.fields.Boolean()


class StepAheadSchema(Output):
    name = Names()
    office = Names("office")
    time_limit_working_days = ma.fields.Integer(allow_none=True)


class PreviewSchema(Output):
    """`faults` are those of the form, `shortages` those of quota and pool: without either the
    request would be taken. `capacity` is the whole after it, `asked_capacity` the difference."""

    service = ma.fields.String()
    service_version = ma.fields.String()
    action = ma.fields.String()
    zone = ma.fields.String()
    title = ma.fields.String()
    pool = ma.fields.String(allow_none=True)
    capacity = Amounts()
    asked_capacity = Amounts()
    monthly_micro_yuan = ma.fields.Integer()
    monthly_before_micro_yuan = ma.fields.Integer()
    monthly_micro_yuan_by_item = Amounts()
    faults = ma.fields.List(ma.fields.Nested(FaultSchema))
    shortages = ma.fields.List(ma.fields.Nested(FaultSchema))
    quota_effects = ma.fields.List(ma.fields.Nested(EffectSchema))
    pool_effects = ma.fields.List(ma.fields.Nested(EffectSchema))
    steps = ma.fields.List(ma.fields.Nested(StepAheadSchema))
