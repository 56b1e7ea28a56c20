"""Declared services and their forms."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import Names, Output


class ServiceSummary(Output):
    code = ma.fields.String()
    version = ma.fields.String()
    category = ma.fields.String()
    engine = ma.fields.String()
    engines = ma.fields.List(ma.fields.String())
    offered_engines = ma.fields.List(
        ma.fields.String(),
        metadata={"description": "Without those that this deployment has not."},
    )
    name = Names()
    summary = Names("summary")
    needs = Names("needs", allow_none=True)
    zones = ma.fields.List(ma.fields.String())
    usually_takes_seconds = ma.fields.Integer()
    lease_default_months = ma.fields.Integer()
    lease_max_months = ma.fields.Integer()


class ServiceList(Output):
    items = ma.fields.List(ma.fields.Nested(ServiceSummary))


class ActionSchema(Output):
    """`form` is the JSON Schema of what the action asks for; without `approval_chain` nobody has
    to approve. Kinds create and change are asked for at `/requests`, operate at
    `/resources/{id}/actions/{action}`, retire at `/resources/{id}/retirement`."""

    code = ma.fields.String()
    kind = ma.fields.String()
    name = Names()
    effect = Names("effect", allow_none=True)
    approval_chain = ma.fields.String(allow_none=True)
    states = ma.fields.List(ma.fields.String())
    grace_days = ma.fields.Integer()
    form = ma.fields.Dict()


class ChoiceSchema(Output):
    value = ma.fields.String()
    label = ma.fields.String()


class ServiceDetail(ServiceSummary):
    plans = ma.fields.List(ma.fields.Dict())
    groups = ma.fields.List(ma.fields.Dict())
    actions = ma.fields.List(ma.fields.Nested(ActionSchema))
    choices = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.Dict(
            keys=ma.fields.String(), values=ma.fields.List(ma.fields.Nested(ChoiceSchema))
        ),
        metadata={
            "description": "Live choices by zone and field, for those who may ask for the service."
        },
    )
