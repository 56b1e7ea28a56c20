"""Upgrades as people look at them: those there were, one with its instances, and what is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.catalogue.versions import Catalogue, version_key
from controlplane.errors import NotFound
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import LIVE_STATES
from controlplane.reports.scope import Page, paged
from controlplane.reports.versions import versions_in_use
from controlplane.upgrades.models import Campaign, Member
from controlplane.upgrades.rules import OPEN, SETTLED, CampaignState, MemberState
from controlplane.windows import next_opening, window_in


@dataclass(frozen=True)
class CampaignRow:
    """One of the list; `settled` of `total` instances need nothing more."""

    number: str
    service: str
    from_version: str
    to_version: str
    state: str
    started_at: datetime
    started_by: str
    reason: str
    settled: int
    total: int


@dataclass(frozen=True)
class Progress:
    """One upgrade: how many instances are in which state, and when the window opens next (None:
    it is open, or nothing waits for it)."""

    campaign: Campaign
    counts: dict[str, int]
    opens_at: datetime | None


@dataclass(frozen=True)
class Due:
    """Instances that stay on an older version than is offered."""

    service: str
    version: str
    newest: str
    instances: int
    is_declared: bool


def list_campaigns(session: Session, page: int = 1) -> Page[CampaignRow]:
    """The newest first."""
    found = paged(session, sa.select(Campaign).order_by(Campaign.id.desc()), page)
    how_far = _how_far(session, [c.id for c in found.rows])
    rows = [
        CampaignRow(
            number=c.number,
            service=c.service,
            from_version=c.from_version,
            to_version=c.to_version,
            state=c.state,
            started_at=c.started_at,
            started_by=c.started_by,
            reason=c.reason,
            settled=how_far.get(c.id, (0, 0))[0],
            total=how_far.get(c.id, (0, 0))[1],
        )
        for c in found.rows
    ]
    return Page(rows, found.number, found.total, found.size)


def _how_far(session: Session, campaign_ids: list[int]) -> dict[int, tuple[int, int]]:
    """(settled, all) instances by campaign."""
    settled = sa.func.sum(sa.case((Member.state.in_(SETTLED), 1), else_=0))
    rows = session.execute(
        sa.select(Member.campaign_id, settled, sa.func.count())
        .where(Member.campaign_id.in_(campaign_ids))
        .group_by(Member.campaign_id)
    )
    return {campaign_id: (int(done), int(total)) for campaign_id, done, total in rows}


def find_campaign(session: Session, number: str, now: datetime) -> Progress:
    """Errors: NotFound."""
    campaign = session.scalars(sa.select(Campaign).where(Campaign.number == number)).first()
    if campaign is None:
        raise NotFound
    states = [m.state for m in campaign.members]
    counts = {s.value: states.count(s) for s in MemberState if s in states}
    opens_at = None
    if campaign.state == CampaignState.RUNNING and MemberState.PENDING in states:
        window = window_in(campaign.window) if campaign.window else None
        at = next_opening(window, now)
        opens_at = at if at > now else None
    return Progress(campaign, counts, opens_at)


def due_upgrades(session: Session, catalogue: Catalogue) -> list[Due]:
    """By service and version, the oldest version of each service first."""
    due = []
    for code, version, instances in versions_in_use(session):
        newest = catalogue.get(code)
        if newest is not None and version_key(version) < version_key(newest.version):
            declared = newest.action_of_kind("upgrade") is not None
            due.append(Due(code, version, newest.version, instances, declared))
    return sorted(due, key=lambda d: (d.service, version_key(d.version)))


@dataclass(frozen=True)
class Standing:
    """Of one instance: the newer version that is offered, and the open upgrade it is part of."""

    newer: str | None
    member: Member | None


def standing_of(session: Session, catalogue: Catalogue, resource: Resource) -> Standing:
    newest = catalogue.get(resource.service)
    is_older = (
        newest is not None
        and resource.state in LIVE_STATES
        and version_key(resource.service_version) < version_key(newest.version)
    )
    member = session.scalars(
        sa.select(Member)
        .join(Campaign)
        .where(
            Member.resource_id == resource.id,
            Campaign.state.in_(OPEN),
            Member.state.not_in((MemberState.DONE, MemberState.SKIPPED)),
        )
    ).first()
    return Standing(newest.version if newest is not None and is_older else None, member)
