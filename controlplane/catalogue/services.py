"""A declared service: its form, plans, actions, and how a filled form becomes a capacity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from controlplane.catalogue.expressions import ExpressionError, evaluated, filled
from controlplane.engines import AUTHORITY, MACHINE, engine_of_plan
from controlplane.text import without_control_characters

Names = Mapping[str, str]
Capacity = dict[str, int]


@dataclass(frozen=True)
class Action:
    """What can be done with a service's resource, by which playbook.

    `approval_chain` None: nobody has to approve. `fields` are those of the service's form that the
    action asks for, `clears` those it empties. `states` are the resource's states in which it may
    start; `to_state` is the state it leaves (None: unchanged). `is_internal`: the control plane
    starts it, never a person. `rotates` names the secrets it brings anew; `followed_by` is the
    internal action that ends the old ones' validity `grace_hours` later. `inputs` are fields of its
    own, told to its run and kept nowhere; they are shown with what the output `prefilled_from`
    holds. `draws_for` and `drops_for` name the input that holds the name of an account, whose
    secret is drawn or forgotten. `engines`: only what stands on one of them; () on all.
    `chooses` are those of `fields` of which only a value that the resource has had before may be
    taken. `follows_rotation`: started when the database that it stands on has new secrets.
    `certifies`: what becomes of the resource's certificates when it has ended well. `needs_output`
    and `lacks_output`: what must have been delivered, or not, for there to be anything to do.
    """

    code: str
    playbook: str
    name: Names
    kind: str
    approval_chain: str | None
    effect: Names | None = None
    fields: tuple[str, ...] = ()
    clears: tuple[str, ...] = ()
    states: tuple[str, ...] = ("active", "stopped")
    to_state: str | None = None
    grace_days: int = 0
    stop_with: str | None = None
    start_with: str | None = None
    is_internal: bool = False
    rotates: tuple[str, ...] = ()
    grace_hours: int = 0
    followed_by: str | None = None
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    prefilled_from: str | None = None
    draws_for: str | None = None
    drops_for: str | None = None
    engines: tuple[str, ...] = ()
    #: Of an upgrade: the engines on which whoever is connected is cut off for a moment.
    restarts: tuple[str, ...] = ()
    chooses: tuple[str, ...] = ()
    follows_rotation: bool = False
    certifies: str | None = None
    needs_output: str | None = None
    lacks_output: str | None = None


@dataclass(frozen=True)
class Snippet:
    """A way to connect, ready to paste; its template knows `outputs` and `secrets`."""

    code: str
    title: Names
    template: str


@dataclass(frozen=True)
class BackupPlan:
    """When a resource is backed up, in Asia/Shanghai, and how long a backup is kept; the one taken
    before a resource is destroyed for `last_keep_days`. Only what stands on one of `engines`; on
    `moments` any moment can be had, from the archived log of their servers."""

    daily_at: str
    keep_days: int
    last_keep_days: int
    engines: tuple[str, ...]
    moments: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiskPlan:
    """Which part of the capacity a resource's data fill, from which shares on somebody is told, and
    the internal action that closes or opens it for writing; None where what it stands on refuses by
    itself, as a disk of its own does. Only what stands on one of `engines`."""

    dimension: str
    near_percent: int
    critical_percent: int
    engines: tuple[str, ...]
    held_with: str | None = None


@dataclass(frozen=True)
class MachinePlan:
    """The machine that is ordered with what runs on it: by which service, with which form."""

    service: str
    form: Mapping[str, Any]


@dataclass(frozen=True)
class Service:
    code: str
    version: str
    category: str
    engine: str
    icon: str
    name: Names
    summary: Names
    needs: Names | None
    usually_takes_seconds: int
    zones: tuple[str, ...]
    lease_default_months: int
    lease_max_months: int
    lease_grace_days: int
    lease_suspended_days: int
    plans: Mapping[str, Mapping[str, Any]]
    groups: tuple[Mapping[str, Any], ...]
    properties: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]
    capacity_expressions: Mapping[str, str | int]
    #: What the resource that it stands on must have for it at least.
    base_need_expressions: Mapping[str, str | int]
    resource_name_expression: str
    actions: Mapping[str, Action]
    secrets: tuple[str, ...]
    #: Those of them that the cloud draws: read from it after the run, and never told to one.
    issued_secrets: tuple[str, ...]
    connection: tuple[Snippet, ...]
    backups: BackupPlan | None
    #: When an upgrade to this version may begin; empty: as the deployment says.
    maintenance: str
    disk: DiskPlan | None
    #: Of a service with plans on the engine `machine`.
    machine: MachinePlan | None
    folder: Path = field(repr=False, compare=False)
    #: The folder as seen from that of all services: where its playbooks are.
    path: str = field(repr=False, compare=False)
    #: What its pods write is shown on the resource's page.
    has_logs: bool = False
    #: Engines that this deployment has not: what stands on them is not offered.
    absent_engines: frozenset[str] = frozenset()

    def action(self, code: str) -> Action | None:
        return self.actions.get(code)

    @property
    def engines(self) -> tuple[str, ...]:
        """Every engine that one of its plans stands on; without plans its own."""
        return tuple(dict.fromkeys(map(self._engine_of, self.plans.values()))) or (self.engine,)

    def engine_of(self, spec: Mapping[str, Any]) -> str:
        """The engine that a spec's plan stands on."""
        plan = spec.get("plan")
        return self._engine_of(plan if isinstance(plan, Mapping) else None)

    @property
    def offered_engines(self) -> tuple[str, ...]:
        return tuple(e for e in self.engines if e not in self.absent_engines)

    def plans_on(self, engines: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The plans that stand on one of `engines`, by code."""
        wanted = set(engines)
        return {c: plan for c, plan in self.plans.items() if self._engine_of(plan) in wanted}

    def _engine_of(self, plan: Mapping[str, Any] | None) -> str:
        return engine_of_plan(plan, self.engine)

    def backups_of(self, spec: Mapping[str, Any]) -> BackupPlan | None:
        """How what a spec's plan makes is backed up, unless its department chose otherwise; None
        where it is not."""
        plan = self.backups
        return plan if plan is not None and self.engine_of(spec) in plan.engines else None

    def has_moments(self, spec: Mapping[str, Any]) -> bool:
        """Whether any moment of what a spec's plan makes can be had, as far as its log goes."""
        plan = self.backups_of(spec)
        return plan is not None and self.engine_of(spec) in plan.moments

    def can_clone(self, spec: Mapping[str, Any]) -> bool:
        """Whether what a spec's plan makes may begin as a copy of another, or be copied: what is
        backed up, for it is read in the same way."""
        return (
            self._field_of_source("my_instances") is not None and self.backups_of(spec) is not None
        )

    def disk_of(self, spec: Mapping[str, Any]) -> DiskPlan | None:
        """How what a spec's plan makes is measured and held to it; None where it is not."""
        plan, engine = self.disk, self.engine_of(spec)
        if plan is None or engine not in plan.engines:
            return None
        holding = self.actions[plan.held_with].engines if plan.held_with else ()
        return replace(plan, held_with=None) if holding and engine not in holding else plan

    def machine_form_of(self, spec: Mapping[str, Any]) -> dict[str, Any] | None:
        """The form of the machine that a spec's plan brings with it; None where it brings none.

        Errors: ExpressionError.
        """
        if self.machine is None or self.engine_of(spec) != MACHINE:
            return None
        return {
            name: evaluated(value, **_of(spec)) if isinstance(value, str) else value
            for name, value in self.machine.form.items()
        }

    def offers(self, action: Action, spec: Mapping[str, Any], outputs: Mapping[str, Any]) -> bool:
        """Whether an action is for what stands where this spec's plan does, has something to do
        with what was delivered, and has an authority where it takes one to sign."""
        if action.certifies in ("issue", "serve", "renew") and AUTHORITY in self.absent_engines:
            return False
        if action.needs_output and not outputs.get(action.needs_output):
            return False
        if action.lacks_output and outputs.get(action.lacks_output):
            return False
        return not action.engines or self.engine_of(spec) in action.engines

    def usually_takes(self, spec: Mapping[str, Any]) -> int:
        """Seconds from the approval on: as a spec's plan says, or its service."""
        plan = spec.get("plan")
        said = plan.get("usually_takes_seconds") if isinstance(plan, Mapping) else None
        return int(said or self.usually_takes_seconds)

    @property
    def certifies(self) -> bool:
        """Whether what it delivers are certificates."""
        return self.actions["provision"].certifies is not None

    @property
    def serves_certificates(self) -> bool:
        """Whether what it delivers may serve with one, whose key is in the platform's hands."""
        return any(action.certifies == "serve" for action in self.actions.values())

    @property
    def replaces_certificates(self) -> bool:
        """Whether a renewal puts the new one in the place of the one before, which is revoked."""
        return any(action.certifies in ("serve", "renew") for action in self.actions.values())

    def action_of_kind(self, kind: str) -> Action | None:
        return next((a for a in self.actions.values() if a.kind == kind), None)

    def drawn(self, names: Iterable[str]) -> list[str]:
        """Those of the secrets that we draw ourselves."""
        return [name for name in names if name not in self.issued_secrets]

    @property
    def upload_field(self) -> str | None:
        """The field that names an uploaded archive."""
        return self._field_of_source("my_uploads")

    @property
    def database_field(self) -> str | None:
        """The field that names a database of the department's."""
        return self._field_of_source("my_databases")

    def _field_of_source(self, source: str) -> str | None:
        of_source = (
            name
            for name, schema in self.properties.items()
            if schema.get("x-ui", {}).get("source") == source
        )
        return next(of_source, None)

    @property
    def key_fields(self) -> list[str]:
        """The fields that take a public key to log in with."""
        fields = self.properties.items()
        return [n for n, s in fields if s.get("x-ui", {}).get("widget") == "ssh_key"]

    @property
    def rotation_follower(self) -> Action | None:
        """What is done when the database that a resource stands on has new secrets."""
        return next((a for a in self.actions.values() if a.follows_rotation), None)

    @property
    def grace_ending_action(self) -> Action | None:
        """The internal action that ends the validity of secrets a rotation has replaced."""
        codes = [a.followed_by for a in self.actions.values() if a.rotates and a.followed_by]
        return self.actions[codes[0]] if codes else None

    def form_schema(self, action: Action) -> dict[str, Any]:
        """JSON Schema of the fields that `action` asks for; all of them for `create`.

        Only a create requires any: what a change leaves out stays as it is.
        """
        creates = action.kind == "create"
        names = set(self.properties) if creates else set(action.fields)
        return {
            "type": "object",
            "properties": {
                **{n: p for n, p in self.properties.items() if n in names},
                **action.inputs,
            },
            "required": list(self.required) if creates else [],
            "additionalProperties": False,
        }

    def form_groups(self, action: Action) -> list[dict[str, Any]]:
        """The form's groups with only the fields that `action` asks for."""
        names = set(self.form_schema(action)["properties"])
        groups = [
            {**group, "fields": [f for f in group["fields"] if f in names]} for group in self.groups
        ]
        own = {"id": "inputs", "title": action.name, "fields": list(action.inputs)}
        return [group for group in (*groups, own) if group["fields"]]

    def spec_of(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """The form with every default filled in and `plan` replaced by the plan itself."""
        spec = {
            name: _default_of(schema)
            for name, schema in self.properties.items()
            if "default" in schema or schema.get("type") == "array"
        }
        spec.update(form)
        plan = spec.get("plan")
        if isinstance(plan, str) and plan in self.plans:
            spec["plan"] = {k: v for k, v in self.plans[plan].items() if k != "name"}
        return spec

    def form_of(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """The form that gives `spec`: what a change form is prefilled with."""
        form = {k: v for k, v in spec.items() if k in self.properties}
        if isinstance(form.get("plan"), dict):
            form["plan"] = form["plan"]["code"]
        return form

    def capacity_of(self, spec: Mapping[str, Any]) -> Capacity:
        """Capacity vector of a spec, dimensions of amount 0 left out. Errors: ExpressionError."""
        return self._vector(self.capacity_expressions, spec)

    def base_needs_of(self, spec: Mapping[str, Any]) -> Capacity:
        """What a spec needs of the resource that it stands on. Errors: ExpressionError."""
        return self._vector(self.base_need_expressions, spec)

    def _vector(
        self, expressions: Mapping[str, str | int], spec: Mapping[str, Any]
    ) -> dict[str, int]:
        vector = {}
        for dimension, expression in expressions.items():
            amount = self._evaluate(expression, spec)
            if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
                raise ExpressionError(f"{dimension}: {amount!r} is not a whole number of 0 or more")
            vector[dimension] = amount
        return {dimension: amount for dimension, amount in vector.items() if amount}

    def snippet_text(
        self, snippet: Snippet, outputs: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> str:
        """A way to connect with everything filled in. Errors: ExpressionError."""
        try:
            return filled(snippet.template, outputs=outputs, secrets=secrets).strip()
        except ExpressionError as error:
            # Not the error's own words: they may hold the secret.
            why = type(error.__cause__).__name__
            raise ExpressionError(f"connection {snippet.code}: {why}") from None

    def resource_name_of(self, spec: Mapping[str, Any]) -> str:
        name = filled(self.resource_name_expression, **_of(spec))
        return without_control_characters(name).strip()[:120] or self.name["zh"]

    def _evaluate(self, expression: str | int, spec: Mapping[str, Any]) -> Any:
        return expression if isinstance(expression, int) else evaluated(expression, **_of(spec))

    def playbook_path(self, action: Action) -> Path:
        return self.folder / action.playbook


def _of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What an expression knows of a spec."""
    return {"spec": spec, "plan": spec.get("plan")}


def _default_of(schema: Mapping[str, Any]) -> Any:
    return schema.get("default", [])
