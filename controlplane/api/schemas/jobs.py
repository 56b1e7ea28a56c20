"""Runs of playbooks."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import Choice, Input, Text, UtcTime, WholeNumber, absent
from controlplane.api.paging import PageQuery
from controlplane.api.schemas.common import JobStepSchema, JobSummary, PageSchema
from controlplane.provisioning.rules import JobState

LOG_KIB_MAX = 1024
ATTEMPT_MAX = 10_000


class JobQuery(PageQuery):
    state = Choice(JobState, load_default=str)
    text = Text(max_length=60, load_default=str, metadata={"description": "In the number."})


class LogQuery(Input):
    attempt = WholeNumber(
        minimum=1,
        maximum=ATTEMPT_MAX,
        from_text=True,
        load_default=absent,
        metadata={"description": "The present one if left out."},
    )
    tail_kib = WholeNumber(
        minimum=1,
        maximum=LOG_KIB_MAX,
        from_text=True,
        load_default=64,
        metadata={"description": "How much of the end, in KiB."},
    )


class JobPage(PageSchema):
    items = ma.fields.List(ma.fields.Nested(JobSummary))


class JobDetail(JobSummary):
    playbook = ma.fields.String()
    error = ma.fields.String()
    worker = ma.fields.String()
    cancel_asked = ma.fields.Boolean()
    run_after = UtcTime()
    lease_until = UtcTime(allow_none=True)
    steps = ma.fields.List(ma.fields.Nested(JobStepSchema))
