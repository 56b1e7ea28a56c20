"""What a filled form would come to: capacity, price, effect on quota and pool, and every fault.

The same preparation stands behind the live summary of a form, its check page and its submission, so
that they cannot disagree. It reads several stages and changes none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import messages
from controlplane.admission import service as admission
from controlplane.admission.models import Pool, QuotaBound
from controlplane.admission.rules import difference
from controlplane.approval.models import ApprovalChain
from controlplane.backups import service as backups
from controlplane.backups.rules import CLONE_OF, RESTORE_FROM
from controlplane.catalogue.expressions import ExpressionError
from controlplane.catalogue.forms import check_form
from controlplane.catalogue.schema import ZONES
from controlplane.catalogue.services import Action, Service
from controlplane.catalogue.versions import Catalogue
from controlplane.certificates import service as certificates
from controlplane.choices import Choice, live_choices
from controlplane.engines import SHARED, WITH_VOLUMES
from controlplane.errors import Fault, NotFound, StateConflict
from controlplane.metering import service as metering
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Resource
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.rules import RequestState
from controlplane.service_requests.service import Asked
from controlplane.standing import base_faults_of, base_field, below_need_faults
from controlplane.tenancy.models import Department, Office

if TYPE_CHECKING:
    from controlplane.pipeline import Ask


@dataclass(frozen=True)
class Effect:
    """What the request does to one bound: used before it, asked by it, the bound itself."""

    name_zh: str
    name_en: str
    dimension: str
    used: int
    asked: int
    capacity: int

    @property
    def fits(self) -> bool:
        return self.asked <= 0 or self.used + self.asked <= self.capacity


@dataclass(frozen=True)
class StepAhead:
    """A step that the request will go through."""

    name_zh: str
    name_en: str
    office_zh: str
    office_en: str
    time_limit_working_days: int | None


@dataclass(frozen=True)
class Preparation:
    """`faults` are those of the form; `shortages` those of quota and pool."""

    service: Service
    action: Action
    asked: Asked
    asked_capacity: Mapping[str, int]
    faults: tuple[Fault, ...]
    shortages: tuple[Fault, ...]
    pool: Pool | None
    monthly_by_item: Mapping[str, int]
    monthly_before: int = 0
    quota_effects: tuple[Effect, ...] = ()
    pool_effects: tuple[Effect, ...] = ()
    steps_ahead: tuple[StepAhead, ...] = ()
    choices: Mapping[str, list[Choice]] = field(default_factory=dict)
    resource: Resource | None = None

    @property
    def monthly_micro_yuan(self) -> int:
        return sum(self.monthly_by_item.values())


def prepare(
    session: Session,
    catalogue: Catalogue,
    ask: Ask,
    department: Department,
    now: datetime,
) -> Preparation:
    """Errors: NotFound (service, action or resource), StateConflict (the resource is busy)."""
    service, action = _declared(session, catalogue, ask)
    resource = _resource_for(session, ask, action, department)
    if resource and not service.offers(action, resource.spec, resource.outputs):
        raise NotFound
    zone = resource.zone if resource else ask.zone if ask.zone in ZONES else ""
    before = service.form_of(resource.spec) if resource else {}
    spec = service.spec_of({**before, **ask.form})
    stands_on = service.engine_of(resource.spec) if resource else None
    choices = live_choices(session, service, action, department, zone, stands_on, resource=resource)
    schema = service.form_schema(action)
    faults = check_form(schema, ask.form, {n: [c.value for c in cs] for n, cs in choices.items()})
    if service.certifies:
        faults += certificates.order_faults(session, department, spec)
    if zone not in service.zones:
        faults.append(Fault("zone_not_offered", "zone"))
    if not stands_on and service.engine_of(spec) in service.absent_engines:
        faults = _not_offered(service.engine_of(spec), faults)
    faults += _restore_faults(session, service, spec)
    faults += _clone_faults(session, service, spec)
    faults = _base_faults(session, service, spec, faults, ask.form, department)
    faults += _change_faults(service, resource, spec) if resource and not faults else []
    capacity = _capacity(service, spec, faults)
    if resource and not faults:
        at = "plan" if "plan" in ask.form else ""
        faults += below_need_faults(session, catalogue, resource, capacity, at)
    asked_capacity = difference(resource.capacity if resource else {}, capacity)
    pools = (
        [session.get_one(Pool, resource.pool_code)]
        if resource
        else admission.candidate_pools(session, zone, service.engine_of(spec))
    )
    pool = admission.choose_pool(pools, asked_capacity)
    quotas = admission.quota_bounds(session, department, zone)
    monthly = metering.quote(session, capacity, now)
    return Preparation(
        service=service,
        action=action,
        asked=Asked(
            service=service.code,
            service_version=resource.service_version if resource else service.version,
            action=action.code,
            zone=zone,
            title=_title(service, spec, resource),
            form=dict(ask.form),
            spec=spec,
            capacity=capacity,
            monthly_micro_yuan=0 if faults else sum(monthly.values()),
            resource_id=resource.id if resource else None,
        ),
        asked_capacity=asked_capacity,
        faults=tuple(faults),
        shortages=tuple(admission.admission_faults(pool, quotas, asked_capacity))
        if not faults
        else (),
        pool=pool,
        monthly_by_item=monthly,
        monthly_before=_monthly_before(session, resource, now),
        quota_effects=_quota_effects(quotas, asked_capacity),
        pool_effects=_pool_effects(pool, asked_capacity),
        steps_ahead=steps_ahead(session, action.approval_chain),
        choices=choices,
        resource=resource,
    )


def _restore_faults(session: Session, service: Service, spec: Mapping[str, Any]) -> list[Fault]:
    """A plan that is backed up takes a backup of its own kind: the servers' versions differ."""
    if not spec.get(RESTORE_FROM):
        return []
    if service.backups_of(spec) is None:
        return [Fault("plan_cannot_restore", RESTORE_FROM)]
    backup = backups.find_backup(session, spec[RESTORE_FROM])
    if backup is None or service.engine_of(backup.resource.spec) == service.engine_of(spec):
        return []
    return [Fault("backup_of_other_kind", RESTORE_FROM)]


def _clone_faults(session: Session, service: Service, spec: Mapping[str, Any]) -> list[Fault]:
    """A new resource begins with what another of its own kind has, or a shared one, or a backup;
    never with two of them."""
    if not spec.get(CLONE_OF):
        return []
    if spec.get(RESTORE_FROM):
        return [Fault("clone_or_restore", CLONE_OF)]
    if not service.can_clone(spec):
        return [Fault("plan_cannot_clone", CLONE_OF)]
    source = session.scalars(sa.select(Resource).where(Resource.number == spec[CLONE_OF])).first()
    if source is None or service.engine_of(source.spec) in (service.engine_of(spec), SHARED):
        return []
    return [Fault("clone_of_other_kind", CLONE_OF)]


def _not_offered(engine: str, faults: list[Fault]) -> list[Fault]:
    """The true reason in the place of "not one of the choices"."""
    others = [f for f in faults if f.field != "plan"]
    return [*others, Fault("engine_absent", "plan", {"engine": messages.ENGINES[engine]})]


def _base_faults(
    session: Session,
    service: Service,
    spec: Mapping[str, Any],
    faults: list[Fault],
    form: Mapping[str, Any],
    department: Department,
) -> list[Fault]:
    """The true reason why a resource of one's own cannot be stood on, likewise."""
    name = base_field(service)
    codes = [f.code for f in faults if f.field == name]
    if name not in form or codes not in ([], ["field_choice"]):
        return faults
    found = base_faults_of(session, service, spec, department)
    return [f for f in faults if f.field != name] + found if found else faults


def _declared(session: Session, catalogue: Catalogue, ask: Ask) -> tuple[Service, Action]:
    """What is offered now; for a change what the resource was built by."""
    changed = session.get(Resource, ask.resource_id) if ask.resource_id else None
    service = catalogue.find(changed) if changed else catalogue.get(ask.service)
    action = service.action(ask.action) if service else None
    if service is None or action is None or action.kind not in ("create", "change"):
        raise NotFound
    return service, action


def _resource_for(
    session: Session, ask: Ask, action: Action, department: Department
) -> Resource | None:
    """The department's own resource that a change is for; a stranger's is not found."""
    if action.kind == "create":
        return None
    resource = session.get(Resource, ask.resource_id) if ask.resource_id else None
    if resource is None or resource.service != ask.service:
        raise NotFound
    if resource.department_id != department.id:
        raise NotFound
    if resource.state not in action.states:
        raise StateConflict(state=resource.state)
    provisioning.check_idle(session, resource)
    open_change = session.scalar(
        sa.select(ServiceRequest.id)
        .where(
            ServiceRequest.resource_id == resource.id,
            ServiceRequest.id != (ask.request_id or 0),
            ServiceRequest.state.in_((RequestState.IN_APPROVAL, RequestState.DELIVERING)),
        )
        .limit(1)
    )
    if open_change is not None:
        raise StateConflict(state=RequestState.IN_APPROVAL)
    return resource


def _capacity(service: Service, spec: Mapping[str, Any], faults: list[Fault]) -> dict[str, int]:
    """What is typed so far would take: shown while other fields are still empty or wrong."""
    try:
        return service.capacity_of(spec)
    except ExpressionError:
        if not faults:
            faults.append(Fault("field_type"))
        return {}


def _change_faults(service: Service, resource: Resource, spec: dict[str, Any]) -> list[Fault]:
    """A change must change something."""
    if spec == resource.spec:
        return [Fault("nothing_changes")]
    return shrink_faults(service, resource.spec, spec)


def shrink_faults(
    service: Service, before: Mapping[str, Any], spec: Mapping[str, Any]
) -> list[Fault]:
    """A volume never shrinks: its data would be cut."""
    faults = _plan_faults(service, before.get("plan"), spec)
    for name, schema in service.properties.items():
        hints = schema.get("x-ui", {})
        if hints.get("grow_only") and schema.get("type") == "integer":
            if spec.get(name, 0) < before.get(name, 0):
                faults.append(Fault("volume_cannot_shrink", name))
        elif hints.get("grow_only") and schema.get("type") == "array":
            faults += _row_faults(name, before.get(name, []), spec.get(name, []))
    return faults


def _plan_faults(service: Service, before: Any, spec: Mapping[str, Any]) -> list[Fault]:
    """A plan with less storage than the one before would shrink the volume behind it."""
    after = spec.get("plan")
    if service.engine_of(spec) not in WITH_VOLUMES or not isinstance(before, dict):
        return []
    shrinks = any(
        isinstance(after, dict) and after.get(dimension, 0) < amount
        for dimension, amount in before.items()
        if dimension.startswith("storage_gib.")
    )
    return [Fault("volume_cannot_shrink", "plan")] if shrinks else []


def _row_faults(name: str, before: list[Any], after: list[Any]) -> list[Fault]:
    """Volumes keep their place and type, may grow, and more may be added behind them."""
    faults = []
    for i, old in enumerate(before):
        if i >= len(after):
            faults.append(Fault("volume_cannot_shrink", f"{name}.{i}"))
        elif after[i].get("size_gib", 0) < old.get("size_gib", 0):
            faults.append(Fault("volume_cannot_shrink", f"{name}.{i}.size_gib"))
        elif after[i].get("type") != old.get("type"):
            faults.append(Fault("field_fixed", f"{name}.{i}.type"))
    return faults


def _title(service: Service, spec: Mapping[str, Any], resource: Resource | None) -> str:
    if resource is not None:
        return resource.name
    try:
        return service.resource_name_of(spec)
    except ExpressionError:
        return service.name["zh"]


def _monthly_before(session: Session, resource: Resource | None, now: datetime) -> int:
    return sum(metering.quote(session, resource.capacity, now).values()) if resource else 0


def _quota_effects(quotas: list[QuotaBound], asked: Mapping[str, int]) -> tuple[Effect, ...]:
    return tuple(
        Effect(
            q.department.name_zh,
            q.department.name_en,
            q.dimension,
            q.held + q.allocated,
            asked.get(q.dimension, 0),
            q.capacity,
        )
        for q in sorted(quotas, key=lambda q: (len(q.department.path) * -1, q.dimension))
    )


def _pool_effects(pool: Pool | None, asked: Mapping[str, int]) -> tuple[Effect, ...]:
    if pool is None:
        return ()
    return tuple(
        Effect(
            pool.name_zh,
            pool.name_en,
            b.dimension,
            b.held + b.allocated,
            asked.get(b.dimension, 0),
            b.capacity,
        )
        for b in pool.bounds
    )


def steps_ahead(session: Session, chain_code: str | None) -> tuple[StepAhead, ...]:
    chain = session.get(ApprovalChain, chain_code) if chain_code else None
    if chain is None:
        return ()
    offices = {
        o.code: o
        for o in session.scalars(
            sa.select(Office).where(Office.code.in_([s["office"] for s in chain.steps]))
        )
    }
    return tuple(
        StepAhead(
            step["name"]["zh"],
            step["name"]["en"],
            offices[step["office"]].name_zh,
            offices[step["office"]].name_en,
            step.get("time_limit_working_days"),
        )
        for step in chain.steps
        if step["office"] in offices
    )
