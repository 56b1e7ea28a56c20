"""Parts that several nouns show."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma

from controlplane.api.fields import Names, Output, UtcTime
from controlplane.provisioning.models import JobStep


class DepartmentRef(Output):
    id = ma.fields.Integer()
    code = ma.fields.String()
    name = Names()


class PersonRef(Output):
    id = ma.fields.Integer()
    name = ma.fields.String()


class ResourceRef(Output):
    id = ma.fields.UUID()
    number = ma.fields.String()
    name = ma.fields.String()
    state = ma.fields.String()


class EventSchema(Output):
    """A line of the audit trail."""

    at = UtcTime()
    event = ma.fields.String()
    actor_name = ma.fields.String()


class JobSummary(Output):
    id = ma.fields.Integer()
    number = ma.fields.String()
    action = ma.fields.String()
    service = ma.fields.String()
    state = ma.fields.String()
    attempt = ma.fields.Integer()
    attempts_max = ma.fields.Integer()
    request_id = ma.fields.Integer(allow_none=True)
    resource_id = ma.fields.UUID(allow_none=True)
    created_at = UtcTime()
    started_at = UtcTime(allow_none=True)
    finished_at = UtcTime(allow_none=True)


class JobStepSchema(Output):
    """One task of a playbook run; `duration_ms` is null while it runs."""

    ordinal = ma.fields.Integer()
    name = ma.fields.String()
    state = ma.fields.String()
    started_at = ma.fields.Function(
        lambda step: _rfc3339_ms(step), metadata={"type": "string", "format": "date-time"}
    )
    duration_ms = ma.fields.Function(
        lambda step: None if step.ended_ms is None else step.ended_ms - step.started_ms,
        metadata={"type": ["integer", "null"]},
    )


def _rfc3339_ms(step: JobStep) -> str:
    at = datetime.fromtimestamp(step.started_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class BoundSchema(Output):
    """One dimension of a pool or quota; its unit stands in the dimension's name."""

    dimension = ma.fields.String()
    capacity = ma.fields.Integer()
    held = ma.fields.Integer()
    allocated = ma.fields.Integer()
    free = ma.fields.Function(
        lambda bound: bound.capacity - bound.held - bound.allocated,
        metadata={"type": "integer", "description": "Negative after a capacity was lowered."},
    )


class PageSchema(Output):
    """One page of a list; the Link header leads to the others."""

    page = ma.fields.Integer()
    pages = ma.fields.Integer()
    page_size = ma.fields.Integer()
    total = ma.fields.Integer()


class Flattened(Output):
    """Fields of a report and, beside them, those of the row it is about (`about`)."""

    about = ""

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        owner = obj if hasattr(obj, attr) else getattr(obj, self.about)
        return super().get_attribute(owner, attr, default)
