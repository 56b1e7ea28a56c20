"""Every noun of the API, in the order of its description."""

from __future__ import annotations

from controlplane.api.routes import Routes
from controlplane.api.views import (
    administration,
    approvals,
    backups,
    capacity,
    catalogue,
    certificates,
    jobs,
    months,
    people,
    requests,
    resources,
    upgrades,
    uploads,
)

NOUNS: tuple[Routes, ...] = (
    people.routes,
    catalogue.routes,
    requests.routes,
    approvals.routes,
    resources.routes,
    backups.routes,
    uploads.routes,
    certificates.routes,
    jobs.routes,
    upgrades.routes,
    capacity.routes,
    months.routes,
    administration.routes,
)
