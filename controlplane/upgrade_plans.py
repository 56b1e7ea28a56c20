"""A planned upgrade: its faults, and what it would change on each instance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.admission import service as admission
from controlplane.admission.models import Pool
from controlplane.admission.service import Demand
from controlplane.catalogue.services import Action, Service
from controlplane.catalogue.versions import Catalogue, version_key
from controlplane.config import Settings
from controlplane.errors import Fault, InvalidInput
from controlplane.metering import service as metering
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState
from controlplane.tenancy.models import Department
from controlplane.upgrade_previews import Standing, Upgraded, upgrade_action, upgraded
from controlplane.upgrades.rules import (
    AT_ONCE_MAX,
    GROUPS_MAX,
    Selector,
    Traits,
    group_of,
    is_selected,
    selector_in,
)

#: States of instances that a campaign takes in; those that are busy are waited for.
TAKEN_IN = (
    ResourceState.BUILDING,
    ResourceState.ACTIVE,
    ResourceState.STOPPED,
    ResourceState.CHANGING,
)


@dataclass(frozen=True)
class Plan:
    """What an operator asks for. `groups` in order, as `rules.selector_in` reads them; `at_once`
    instances at a time; `any_time`: without regard to maintenance windows."""

    service: str
    before: str
    after: str
    at_once: int = 1
    groups: tuple[str, ...] = ()
    any_time: bool = False


@dataclass(frozen=True)
class InstancePreview:
    """Prices are micro-yuan a month."""

    resource: Resource
    group: int
    upgraded: Upgraded
    monthly_before: int
    monthly_after: int


@dataclass(frozen=True)
class Preview:
    """`shortages`: why quota and pool do not take all of it."""

    plan: Plan
    action: Action
    window: str
    instances: tuple[InstancePreview, ...]
    shortages: tuple[Fault, ...]


@dataclass(frozen=True)
class _Checked:
    new: Service
    action: Action
    selectors: tuple[Selector, ...]


def preview_of(
    session: Session, catalogue: Catalogue, settings: Settings, plan: Plan, now: datetime
) -> Preview:
    """Errors: InvalidInput with every fault of the plan."""
    resources = session.scalars(
        sa.select(Resource)
        .where(
            Resource.service == plan.service,
            Resource.service_version == plan.before,
            Resource.state.in_(TAKEN_IN),
        )
        .order_by(Resource.number)
    ).all()
    codes = _codes_above(session, resources)
    traits = {r.id: _traits(r, codes) for r in resources}
    checked = _check(catalogue, plan, traits.values())
    segments = metering.load_segments(session)
    instances = []
    for resource in resources:
        seen = _seen(catalogue, checked, resource)
        before, after = metering.quotes(segments, [resource.capacity, seen.capacity], now)
        group = group_of(checked.selectors, traits[resource.id])
        instances.append(InstancePreview(resource, group, seen, before, after))
    return Preview(
        plan=plan,
        action=checked.action,
        window="" if plan.any_time else checked.new.maintenance or settings.maintenance_window,
        instances=tuple(sorted(instances, key=lambda each: each.group)),
        shortages=tuple(admission.faults_together(session, _demands(session, instances))),
    )


def _seen(catalogue: Catalogue, checked: _Checked, resource: Resource) -> Upgraded:
    old = catalogue.of(resource)
    standing = Standing(resource.spec, resource.capacity, resource.zone)
    return upgraded(old, checked.new, checked.action, standing, resource.state)


def _check(catalogue: Catalogue, plan: Plan, traits: Iterable[Traits]) -> _Checked:
    """Errors: InvalidInput with every fault of the plan."""
    kept = catalogue.versions(plan.service)
    if not kept:
        raise InvalidInput([Fault("service_unknown", "service", {"service": plan.service})])
    new = next((s for s in kept if s.version == plan.after), None)
    action = upgrade_action(new) if new else None
    instances = list(traits)
    faults = _version_faults(plan, kept, new, action, bool(instances))
    if not 1 <= plan.at_once <= AT_ONCE_MAX:
        code = "field_too_small" if plan.at_once < 1 else "field_too_large"
        limit = 1 if plan.at_once < 1 else AT_ONCE_MAX
        faults.append(Fault(code, "at_once", {"limit": limit}))
    selectors, group_faults = _groups(plan.groups, instances)
    faults += group_faults
    if faults or new is None or action is None:
        raise InvalidInput(faults)
    return _Checked(new, action, selectors)


def _version_faults(
    plan: Plan, kept: Sequence[Service], new: Service | None, action: Action | None, found: bool
) -> list[Fault]:
    known = "、".join(s.version for s in kept)
    faults = []
    if new is None:
        params = {"service": plan.service, "version": plan.after, "kept": known}
        faults.append(Fault("version_unknown", "to", params))
    elif action is None:
        faults.append(Fault("upgrade_not_declared", "to", {"version": plan.after}))
    if not found:
        faults.append(Fault("nothing_to_upgrade", "from", {"version": plan.before}))
    elif new is not None and version_key(new.version) <= version_key(plan.before):
        params = {"version": plan.after, "before": plan.before}
        faults.append(Fault("version_not_newer", "to", params))
    return faults


def _groups(
    texts: Sequence[str], instances: Sequence[Traits]
) -> tuple[tuple[Selector, ...], list[Fault]]:
    if len(texts) > GROUPS_MAX:
        return (), [Fault("field_too_many", "groups", {"limit": GROUPS_MAX})]
    selectors, faults = [], []
    for i, text in enumerate(texts):
        selector = selector_in(text)
        params = {"text": text[:80]}
        if selector is None:
            faults.append(Fault("group_unreadable", f"groups.{i}", params))
        elif not any(is_selected(selector, each) for each in instances):
            faults.append(Fault("group_empty", f"groups.{i}", params))
        else:
            selectors.append(selector)
    return tuple(selectors), faults


def _traits(resource: Resource, codes: dict[int, str]) -> Traits:
    plan = resource.spec.get("plan")
    return Traits(
        number=resource.number,
        departments=frozenset(codes[i] for i in resource.department.ancestor_ids()),
        zone=resource.zone,
        plan=str(plan.get("code", "")) if isinstance(plan, dict) else "",
    )


def _codes_above(session: Session, resources: Iterable[Resource]) -> dict[int, str]:
    ids = {i for resource in resources for i in resource.department.ancestor_ids()}
    rows = session.execute(sa.select(Department.id, Department.code).where(Department.id.in_(ids)))
    return {row.id: row.code for row in rows}


def _demands(session: Session, instances: Iterable[InstancePreview]) -> list[Demand]:
    return [
        Demand(
            session.get_one(Pool, each.resource.pool_code),
            each.resource.department,
            each.resource.zone,
            each.upgraded.asked,
        )
        for each in instances
    ]
