"""Archives that a department uploads, and what its applications write."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import ID_MAX, Input, Output, Text, UtcTime, WholeNumber


class UploadQuery(Input):
    filename = Text(max_length=120, min_length=1, required=True)
    department_id = WholeNumber(
        minimum=1,
        maximum=ID_MAX,
        from_text=True,
        load_default=None,
        metadata={"description": "Whose it becomes; my own department's if left out."},
    )


class UploadSchema(Output):
    sha256 = ma.fields.String(metadata={"description": "What the form's field for it takes."})
    filename = ma.fields.String()
    format = ma.fields.String(metadata={"description": "tar.gz or zip."})
    size_bytes = ma.fields.Integer()
    unpacked_bytes = ma.fields.Integer()
    members = ma.fields.Integer()
    uploaded_at = UtcTime()


class PodLogSchema(Output):
    pod = ma.fields.String()
    is_ready = ma.fields.Boolean()
    restarts = ma.fields.Integer()
    text = ma.fields.String(metadata={"description": "The last 200 lines, at most 64 KiB."})
    is_cut = ma.fields.Boolean(metadata={"description": "Whether there was more."})


class PodLogsSchema(Output):
    logs = ma.fields.List(ma.fields.Nested(PodLogSchema))
