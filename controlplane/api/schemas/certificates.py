"""Certificates that the authority has issued."""

from __future__ import annotations

import marshmallow as ma

from controlplane.api.fields import Choice, Output, Text, UtcTime
from controlplane.api.paging import PageQuery
from controlplane.api.schemas.common import PageSchema
from controlplane.reports.certificates import STATES


class CertificateQuery(PageQuery):
    state = Choice(STATES, load_default=str)
    q = Text(
        max_length=100,
        load_default=str,
        metadata={"description": "In serial number, names or the resource's name."},
    )


class CertificateSchema(Output):
    """`serial` is hexadecimal. `reason` is why it is on the revocation list; empty if it is not."""

    serial = ma.fields.String()
    issuer = ma.fields.String()
    resource_id = ma.fields.String()
    names = ma.fields.List(ma.fields.String())
    not_before = UtcTime()
    not_after = UtcTime()
    state = ma.fields.String(metadata={"enum": list(STATES)})
    reason = ma.fields.String()
    revoked_at = UtcTime(allow_none=True)
    pem = ma.fields.String()


class CertificatePage(PageSchema):
    items = ma.fields.List(ma.fields.Nested(CertificateSchema))
