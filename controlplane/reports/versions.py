"""Which version of its service each resource was built by."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import LIVE_STATES


def versions_in_use(session: Session) -> list[tuple[str, str, int]]:
    """(service, version, number of live resources), by service, the most used version first."""
    count = sa.func.count()
    rows = session.execute(
        sa.select(Resource.service, Resource.service_version, count)
        .where(Resource.state.in_(LIVE_STATES))
        .group_by(Resource.service, Resource.service_version)
        .order_by(Resource.service, count.desc(), Resource.service_version)
    )
    return [(service, version, int(number)) for service, version, number in rows]
