"""`/pools` and `/quotas`: what there is, and what is left of it."""

from __future__ import annotations

from typing import Any

from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.capacity import PoolList, QuotaList
from controlplane.reports import pools as reports

routes = Routes("capacity", "Pools and quotas: what is used, held and free")


@routes.get("/pools", action="pool.view", answer=PoolList)
def list_pools() -> dict[str, Any]:
    """Every open pool, in declared order."""
    with control_plane().db.read() as session:
        return {"items": reports.list_pools(session)}


@routes.get("/quotas", action="quota.view", answer=QuotaList)
def list_quotas() -> dict[str, Any]:
    """Quotas of the departments I may see, by tree and zone."""
    with control_plane().db.read() as session:
        return {"items": reports.list_quotas(session, current_subject())}
