"""`/upgrades`: previewed, started, looked at, stopped, resumed, cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.api.paging import PageQuery, page_answer
from controlplane.api.problems import in_body
from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.upgrades import (
    FIELDS,
    UpgradeBody,
    UpgradeDetail,
    UpgradePage,
    UpgradePreviewSchema,
)
from controlplane.errors import InvalidInput
from controlplane.reports import upgrades as reports
from controlplane.upgrade_plans import Plan, Preview

routes = Routes("upgrades", "Instances brought to a newer version of their service")


@routes.get("/upgrades", action="upgrade.view", answer=UpgradePage, query=PageQuery)
def list_upgrades(query: dict[str, Any]) -> Any:
    """Every upgrade, the newest first."""
    with control_plane().db.read() as session:
        return page_answer(reports.list_campaigns(session, query["page"]))


@routes.post(
    "/upgrades", action="upgrade.manage", answer=UpgradeDetail, status=201, body=UpgradeBody
)
def start_upgrade(body: dict[str, Any]) -> reports.Progress:
    """Start an upgrade; the same again while it is open is the same one."""
    try:
        return _progress(control_plane().upgrading.start(current_subject(), _plan(body)))
    except InvalidInput as refused:
        raise in_body(refused, FIELDS) from refused


@routes.post(
    "/upgrades/preview",
    action="upgrade.manage",
    answer=UpgradePreviewSchema,
    body=UpgradeBody,
)
def preview_upgrade(body: dict[str, Any]) -> Preview:
    """What an upgrade would change on each instance; changes nothing."""
    try:
        return control_plane().upgrading.preview(current_subject(), _plan(body))
    except InvalidInput as refused:
        raise in_body(refused, FIELDS) from refused


@routes.get("/upgrades/<number>", action="upgrade.view", answer=UpgradeDetail)
def show_upgrade(number: str) -> reports.Progress:
    """One upgrade with each of its instances."""
    return _progress(number)


@routes.post("/upgrades/<number>/stop", action="upgrade.manage", answer=UpgradeDetail)
def stop_upgrade(number: str) -> reports.Progress:
    """Let no further instance begin; those under way end."""
    control_plane().upgrading.stop(current_subject(), number[:24])
    return _progress(number)


@routes.post("/upgrades/<number>/resumption", action="upgrade.manage", answer=UpgradeDetail)
def resume_upgrade(number: str) -> reports.Progress:
    """Go on where it stopped; what failed is tried again."""
    control_plane().upgrading.resume(current_subject(), number[:24])
    return _progress(number)


@routes.post("/upgrades/<number>/cancellation", action="upgrade.manage", answer=UpgradeDetail)
def cancel_upgrade(number: str) -> reports.Progress:
    """End it; what is upgraded stays so, what was held for the rest is given back."""
    control_plane().upgrading.cancel(current_subject(), number[:24])
    return _progress(number)


def _progress(number: str) -> reports.Progress:
    plane = control_plane()
    with plane.db.read() as session:
        progress = reports.find_campaign(session, number[:24], plane.clock())
        list(progress.campaign.members)  # loaded while there is a session
        return progress


def _plan(body: Mapping[str, Any]) -> Plan:
    return Plan(
        service=body["service"],
        before=body["from_version"],
        after=body["to_version"],
        at_once=body["at_once"],
        groups=tuple(body["groups"]),
        any_time=body["any_time"],
    )
