"""`/pools` and `/quotas`: what there is, and what is left of it."""

from __future__ import annotations

from typing import Any

from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.capacity import (
    HistoryQuery,
    PoolHistorySchema,
    PoolList,
    QuotaList,
)
from controlplane.errors import NotFound
from controlplane.reports import history as histories
from controlplane.reports import pools as reports

routes = Routes("capacity", "Pools and quotas: what is used, held and free")


@routes.get("/pools", action="pool.view", answer=PoolList)
def list_pools() -> dict[str, Any]:
    """Every open pool, in declared order."""
    with control_plane().db.read() as session:
        return {"items": reports.list_pools(session)}


@routes.get(
    "/pools/<code>/history", action="pool.view", answer=PoolHistorySchema, query=HistoryQuery
)
def show_pool_history(query: dict[str, Any], code: str) -> dict[str, Any]:
    """What an open pool held day by day, where it is heading, and what would still fit."""
    cp = control_plane()
    with cp.db.read() as session:
        pool = next((p for p in reports.list_pools(session) if p.code == code), None)
        if pool is None:
            raise NotFound
        history = histories.pools_history(session, [pool], cp.clock(), query["days"])
        outlooks = histories.outlooks(history, pool)
        return {
            "pool": code,
            "instants": history.instants,
            "series": history.series[code],
            "outlooks": [{"dimension": d, "outlook": o} for d, o in outlooks.items() if o],
            "what_fits": reports.what_fits(cp.catalogue, pool),
        }


@routes.get("/quotas", action="quota.view", answer=QuotaList)
def list_quotas() -> dict[str, Any]:
    """Quotas of the departments I may see, by tree and zone."""
    with control_plane().db.read() as session:
        return {"items": reports.list_quotas(session, current_subject())}
