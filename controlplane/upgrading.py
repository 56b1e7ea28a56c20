"""Upgrades as an operator runs them: previewed, started, moved on by a tick, stopped, cancelled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import audit, policy
from controlplane.admission import service as admission
from controlplane.admission.models import Pool
from controlplane.admission.service import Claimant, UpgradeMember
from controlplane.audit import SYSTEM, Actor
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.db import Database
from controlplane.errors import (
    AdmissionRefused,
    Fault,
    Forbidden,
    InvalidInput,
    NotFound,
    StateConflict,
    UpgradeOpen,
)
from controlplane.policy import Subject
from controlplane.provisioning.service import dated_number
from controlplane.upgrade_members import begin_member, busy_members
from controlplane.upgrade_plans import InstancePreview, Plan, Preview, preview_of
from controlplane.upgrades.models import Campaign, Member
from controlplane.upgrades.rules import (
    OPEN,
    CampaignState,
    MemberState,
    Place,
    next_member,
    state_after,
)
from controlplane.windows import Window, is_open, window_in


class Upgrading:
    """Each public method is one transaction; `advance` one for each instance that begins."""

    def __init__(
        self, db: Database, catalogue: Catalogue, settings: Settings, clock: Clock
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.settings = settings
        self.clock = clock

    # --- what an operator does ------------------------------------------------------------------

    def preview(self, by: Subject | Actor, plan: Plan) -> Preview:
        """What the upgrade would change on each instance. Changes nothing. Errors: Forbidden,
        InvalidInput with every fault of the plan."""
        _actor(by)
        with self.db.read() as session:
            return preview_of(session, self.catalogue, self.settings, plan, self.clock())

    def start(self, by: Subject | Actor, plan: Plan) -> str:
        """Holds what the instances will take more, and lets the campaign begin; its number. The
        same plan again while it is open is the same campaign.

        Errors: Forbidden, InvalidInput, AdmissionRefused, UpgradeOpen.
        """
        actor, now = _actor(by), self.clock()
        with self.db.transaction() as session:
            admission.lock_counters(session)
            running = session.scalars(
                sa.select(Campaign).where(
                    Campaign.service == plan.service, Campaign.state.in_(OPEN)
                )
            ).first()
            if running is not None:
                if _is_same(running, plan):
                    return running.number
                raise UpgradeOpen(number=running.number, state=running.state)
            preview = preview_of(session, self.catalogue, self.settings, plan, now)
            if preview.shortages:
                raise AdmissionRefused(preview.shortages)
            if all(each.upgraded.faults for each in preview.instances):
                raise InvalidInput([Fault("nothing_upgradable")])
            campaign = _new_campaign(session, actor, preview, now)
            for each in preview.instances:
                _take_in(session, campaign, each, now)
            _audit(session, actor, "upgrade_started", campaign, now, instances=_count(campaign))
            return campaign.number

    def stop(self, by: Subject | Actor, number: str) -> None:
        """No further instance begins; those under way end. Errors: Forbidden, NotFound,
        StateConflict."""
        actor, now = _actor(by), self.clock()
        with self.db.transaction() as session:
            campaign = _lock(session, number, OPEN)
            if campaign.state == CampaignState.RUNNING:
                campaign.state, campaign.reason = CampaignState.STOPPED, ""
                _audit(session, actor, "upgrade_stopped", campaign, now)

    def resume(self, by: Subject | Actor, number: str) -> None:
        """Goes on where it stopped; what failed is tried again. Errors: as `stop`."""
        actor, now = _actor(by), self.clock()
        with self.db.transaction() as session:
            campaign = _lock(session, number, OPEN)
            if campaign.state == CampaignState.RUNNING:
                return
            campaign.state, campaign.reason = CampaignState.RUNNING, ""
            for member in campaign.members:
                if member.state == MemberState.FAILED:
                    member.state, member.ended_at = MemberState.PENDING, None
            _audit(session, actor, "upgrade_resumed", campaign, now)

    def cancel(self, by: Subject | Actor, number: str) -> None:
        """Nothing further begins, now or later, and what was held is given back; what is under way
        ends, what was upgraded stays so. Errors: as `stop`."""
        actor, now = _actor(by), self.clock()
        with self.db.transaction() as session:
            campaign = _lock(session, number, OPEN)
            campaign.state, campaign.ended_at = CampaignState.CANCELLED, now
            admission.lock_counters(session)
            for member in campaign.members:
                if member.state == MemberState.PENDING:
                    member.state, member.ended_at = MemberState.SKIPPED, now
                    admission.release_request(session, UpgradeMember(member.id), now)
            _audit(session, actor, "upgrade_cancelled", campaign, now)

    # --- what time does -------------------------------------------------------------------------

    def advance(self) -> int:
        """Begins the instances whose turn it is; returns how many. A tick.

        Each begins in one transaction with its job, under the lock of its campaign: two at once, or
        a death in between, begin none twice.
        """
        with self.db.read() as session:
            running = session.scalars(
                sa.select(Campaign.id)
                .where(Campaign.state == CampaignState.RUNNING)
                .order_by(Campaign.id)
            ).all()
        begun = 0
        for campaign_id in running:
            while (began := self._step(campaign_id)) is not None:
                begun += began
        return begun

    def _step(self, campaign_id: int) -> bool | None:
        """Whether the next instance began or was passed over; None: nothing is to be done now."""
        now = self.clock()
        with self.db.transaction() as session:
            campaign = session.scalars(_locking(Campaign.id == campaign_id)).one()
            if campaign.state != CampaignState.RUNNING:
                return None
            after = state_after(m.state for m in campaign.members)
            if after is not CampaignState.RUNNING:
                self._end(session, campaign, after)
                return None
            if not is_open(_window_of(campaign.window), now):
                return None
            places = [Place(m.id, m.group, m.state) for m in campaign.members]
            chosen = next_member(places, campaign.at_once, busy_members(session, campaign))
            if chosen is None:
                return None
            member = next(m for m in campaign.members if m.id == chosen)
            return begin_member(session, self.settings, self.catalogue, campaign, member, now)

    def _end(self, session: Session, campaign: Campaign, after: CampaignState) -> None:
        now, campaign.state = self.clock(), after
        if after is CampaignState.FINISHED:
            campaign.ended_at = now
            _audit(session, SYSTEM, "upgrade_finished", campaign, now)
            return
        wrong = [m for m in campaign.members if m.state in ("failed", "going_back")]
        numbers = [m.resource.number for m in wrong]
        campaign.reason = "; ".join(f"{m.resource.number}: {m.reason}" for m in wrong)[:2000]
        _audit(session, SYSTEM, "upgrade_stopped", campaign, now, failed=numbers)


# --- rows ---------------------------------------------------------------------------------------


def _new_campaign(session: Session, actor: Actor, preview: Preview, now: datetime) -> Campaign:
    plan = preview.plan
    campaign = Campaign(
        number=dated_number(session, "U", now),
        service=plan.service,
        from_version=plan.before,
        to_version=plan.after,
        state=CampaignState.RUNNING,
        at_once=plan.at_once,
        groups=list(plan.groups),
        window=preview.window,
        started_by=actor.name,
        started_at=now,
    )
    session.add(campaign)
    session.flush()
    return campaign


def _take_in(session: Session, campaign: Campaign, each: InstancePreview, now: datetime) -> None:
    """The member, with what its instance will take more held for it."""
    seen, resource = each.upgraded, each.resource
    member = Member(
        campaign=campaign,
        resource_id=resource.id,
        group=each.group,
        state=MemberState.SKIPPED if seen.faults else MemberState.PENDING,
        preview={
            "asked": seen.asked,
            "before": resource.capacity,
            "capacity": seen.capacity,
            "monthly_before": each.monthly_before,
            "monthly_after": each.monthly_after,
            "restarts": seen.restarts,
            "playbook": seen.playbook,
            "faults": [asdict(fault) for fault in seen.faults],
        },
    )
    session.add(member)
    session.flush()
    if not seen.faults and seen.asked:
        pool = session.get_one(Pool, resource.pool_code)
        claimant = Claimant(
            UpgradeMember(member.id), resource.id, resource.department, resource.zone
        )
        admission.hold(session, claimant, pool, seen.asked, now)


def _count(campaign: Campaign) -> int:
    return sum(member.state == MemberState.PENDING for member in campaign.members)


def _is_same(campaign: Campaign, plan: Plan) -> bool:
    return (campaign.from_version, campaign.to_version, campaign.at_once, campaign.groups) == (
        plan.before,
        plan.after,
        plan.at_once,
        list(plan.groups),
    )


def _locking(which: sa.ColumnElement[bool]) -> sa.Select[Campaign]:
    return (
        sa.select(Campaign)
        .where(which)
        .with_for_update(of=Campaign)
        .execution_options(populate_existing=True)
    )


def _lock(session: Session, number: str, states: Iterable[str]) -> Campaign:
    """Errors: NotFound, StateConflict."""
    campaign = session.scalars(_locking(Campaign.number == number)).first()
    if campaign is None:
        raise NotFound
    if campaign.state not in states:
        raise StateConflict(state=campaign.state)
    return campaign


def _window_of(text: str) -> Window | None:
    return window_in(text) if text else None


def _actor(by: Subject | Actor) -> Actor:
    """An operator at the machine, or a person who may. Errors: Forbidden."""
    if isinstance(by, Actor):
        return by
    if not policy.is_allowed(by, "upgrade.manage"):
        raise Forbidden
    return Actor(by.person_id, by.name)


def _audit(
    session: Session, actor: Actor, event: str, campaign: Campaign, now: datetime, **data: Any
) -> None:
    audit.record(
        session,
        actor,
        event,
        at=now,
        object_type="upgrade",
        object_id=campaign.number,
        service=campaign.service,
        older=campaign.from_version,
        version=campaign.to_version,
        **data,
    )
