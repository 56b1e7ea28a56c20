"""Upgrades of instances to a newer version of their service."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from controlplane.api.fields import Amounts, Flag, Input, Output, Text, UtcTime, WholeNumber
from controlplane.api.openapi import FaultSchema
from controlplane.api.schemas.common import PageSchema, ResourceRef
from controlplane.upgrades.rules import AT_ONCE_MAX, GROUPS_MAX


class UpgradeBody(Input):
    service = Text(max_length=40, min_length=1, required=True)
    from_version = Text(max_length=20, min_length=1, required=True)
    to_version = Text(max_length=20, min_length=1, required=True)
    at_once = WholeNumber(minimum=1, maximum=AT_ONCE_MAX, load_default=1)
    groups = ma.fields.List(
        Text(max_length=200, min_length=1),
        load_default=list,
        metadata={
            "description": "Who goes first, in order: department:CODE, zone:ZONE, plan:PLAN, or "
            "numbers of resources with commas between; the rest goes last. At most "
            f"{GROUPS_MAX}.",
        },
    )
    any_time = Flag(
        load_default=False, metadata={"description": "Without regard to maintenance windows."}
    )


class InstancePreviewSchema(Output):
    """`faults`: why this instance cannot be upgraded; it is passed over."""

    resource = ma.fields.Nested(ResourceRef)
    group = ma.fields.Integer()
    capacity_before = Amounts(attribute="resource.capacity")
    capacity_after = Amounts(attribute="upgraded.capacity")
    monthly_before_micro_yuan = ma.fields.Integer(attribute="monthly_before")
    monthly_after_micro_yuan = ma.fields.Integer(attribute="monthly_after")
    restarts = ma.fields.Boolean(attribute="upgraded.restarts")
    playbook = ma.fields.String(attribute="upgraded.playbook")
    faults = ma.fields.List(ma.fields.Nested(FaultSchema), attribute="upgraded.faults")


class UpgradePreviewSchema(Output):
    """`shortages`: why quota and pool do not take all of it; then it cannot be started."""

    window = ma.fields.String()
    instances = ma.fields.List(ma.fields.Nested(InstancePreviewSchema))
    shortages = ma.fields.List(ma.fields.Nested(FaultSchema))


class UpgradeSummary(Output):
    number = ma.fields.String()
    service = ma.fields.String()
    from_version = ma.fields.String()
    to_version = ma.fields.String()
    state = ma.fields.String()
    started_at = UtcTime()
    started_by = ma.fields.String()
    reason = ma.fields.String()
    settled = ma.fields.Integer()
    total = ma.fields.Integer()


class UpgradePage(PageSchema):
    items = ma.fields.List(ma.fields.Nested(UpgradeSummary))


class UpgradeMemberSchema(Output):
    resource = ma.fields.Nested(ResourceRef)
    group = ma.fields.Integer()
    state = ma.fields.String()
    job_id = ma.fields.Integer(allow_none=True)
    reason = ma.fields.String()
    faults = ma.fields.Function(
        lambda member: member.preview["faults"],
        metadata={"type": "array", "items": {"type": "object"}},
    )
    started_at = UtcTime(allow_none=True)
    ended_at = UtcTime(allow_none=True)


class UpgradeDetail(Output):
    """`opens_at`: when the maintenance window opens, where the upgrade waits for it."""

    number = ma.fields.String(attribute="campaign.number")
    service = ma.fields.String(attribute="campaign.service")
    from_version = ma.fields.String(attribute="campaign.from_version")
    to_version = ma.fields.String(attribute="campaign.to_version")
    state = ma.fields.String(attribute="campaign.state")
    at_once = ma.fields.Integer(attribute="campaign.at_once")
    groups = ma.fields.List(ma.fields.String(), attribute="campaign.groups")
    window = ma.fields.String(attribute="campaign.window")
    started_by = ma.fields.String(attribute="campaign.started_by")
    started_at = UtcTime(attribute="campaign.started_at")
    ended_at = UtcTime(attribute="campaign.ended_at", allow_none=True)
    reason = ma.fields.String(attribute="campaign.reason")
    opens_at = UtcTime(allow_none=True)
    members = ma.fields.List(ma.fields.Nested(UpgradeMemberSchema), attribute="campaign.members")


FIELDS: dict[str, Any] = {"from": "from_version", "to": "to_version"}
