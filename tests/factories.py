"""A small city for tests: control planes, people who sign in, forms that are good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher

from controlplane import schema
from controlplane.admission.models import Pool
from controlplane.app import ControlPlane, build
from controlplane.applying import apply_declared
from controlplane.approval.rules import Decision
from controlplane.config import CHECKOUT, Settings
from controlplane.people import add_people, load_people
from controlplane.pipeline import Ask
from controlplane.policy import Subject
from controlplane.quotas import load_quotas
from controlplane.reports import requests as request_reports
from controlplane.tenancy import service as tenancy
from controlplane.tenancy.models import Department, Person
from controlplane.tenancy.service import subject_of

#: Hashing as slow as it should be would take most of a test's time.
tenancy._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

TEST_SERVICES = CHECKOUT / "tests" / "services"
PEOPLE = CHECKOUT / "lab" / "city" / "people.yml"
IMAGES = [{"name": "lab-tiny", "title": "Tiny"}]


@dataclass
class FrozenClock:
    """A clock that stands until it is moved."""

    now: datetime = field(default_factory=lambda: datetime(2026, 11, 24, 1, 30, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@dataclass
class City:
    """A control plane over the declared sample city, with every stage but the cloud."""

    control_plane: ControlPlane
    clock: FrozenClock
    people: dict[str, Subject] = field(default_factory=dict, init=False, kw_only=True)

    def person(self, login: str) -> Subject:
        """With what was granted when first asked for."""
        if login not in self.people:
            with self.control_plane.db.read() as session:
                person_id = session.scalar(sa.select(Person.id).where(Person.login == login))
                assert person_id is not None, login
                self.people[login] = subject_of(session, person_id)
        return self.people[login]

    def department_id(self, code: str) -> int:
        with self.control_plane.db.read() as session:
            return session.scalars(sa.select(Department.id).where(Department.code == code)).one()

    def submit(self, login: str = "limin", **changes: Any) -> int:
        """A request of the drill service; `changes` go into its form."""
        return self.control_plane.pipeline.submit_request(self.person(login), ask(**changes))

    def decide(
        self, login: str, request_id: int, decision: Decision = Decision.AGREE, opinion: str = ""
    ) -> None:
        subject = self.person(login)
        with self.control_plane.db.read() as session:
            step = request_reports.request_story(session, subject, request_id).pending_step
            assert step is not None
        self.control_plane.pipeline.decide_request(
            subject, request_id, step.id, decision, opinion or "同意"
        )

    def approve(self, request_id: int) -> None:
        """Both offices of the joint review agree."""
        self.decide("zhangjing", request_id)
        self.decide("wanglei", request_id)

    def deliver(self, outputs: Mapping[str, Any] | None = None) -> list[str]:
        """Does every waiting job as a worker whose playbooks all succeed; names their actions."""
        done = []
        delivery = self.control_plane.delivery
        while (run := delivery.claim("test:1")) is not None:
            if run.refusal is not None:
                delivery.fail(run, run.refusal.reason, final=run.refusal.is_final)
                continue
            delivery.complete(run, outputs or {"server_id": "s-1"})
            done.append(run.action)
        return done

    def fail_jobs(self, error: str = "no valid host") -> list[str]:
        """Fails the next waiting job until it is given up; names the actions of the tries."""
        tried = []
        while (run := self.control_plane.delivery.claim("test:1")) is not None:
            tried.append(run.action)
            if self.control_plane.delivery.fail(run, error):
                break
            self.clock.advance(minutes=11)
        return tried

    def delivered(self, login: str = "limin", **changes: Any) -> str:
        """The id of a resource that went the whole way."""
        request_id = self.submit(login, **changes)
        self.approve(request_id)
        self.deliver()
        with self.control_plane.db.read() as session:
            request = request_reports.find_request(session, self.person(login), request_id)
            assert request.state == "fulfilled"
            assert request.resource_id is not None
            return request.resource_id


def ask(**changes: Any) -> Ask:
    """A good request for a small drill machine in the internet zone."""
    known = {f: changes.pop(f) for f in Ask.__dataclass_fields__ if f in changes}
    form = {"system_name": "低保核对系统", "plan": "small", "disk_gib": 40, **changes}
    return Ask(
        **{"service": "drill", "action": "provision", "zone": "internet", "form": form, **known}
    )


def open_city(
    folder: Path, database_url: str = "", services: Path = TEST_SERVICES, **changes: Any
) -> City:
    """A control plane over the sample city's database."""
    clock = FrozenClock()
    settings = Settings(
        var_dir=folder / "var",
        database_url=database_url,
        playbooks_dir=services.parent,
        job_retry_base_seconds=1,
        **changes,
    )
    return City(build(settings, clock), clock)


def make_city(
    folder: Path, database_url: str = "", services: Path = TEST_SERVICES, **changes: Any
) -> City:
    """The sample city on an empty database: the tables, what is declared, and its people."""
    city = open_city(folder, database_url, services, **changes)
    control_plane, now = city.control_plane, city.clock()
    schema.upgrade(control_plane.db)
    with control_plane.db.transaction() as session:
        declared = load_quotas(control_plane.settings.quotas_dir)
        apply_declared(session, control_plane.settings, declared, now)
        add_people(session, load_people(PEOPLE), now)
        session.execute(sa.update(Pool).values(cloud_images=IMAGES))
    return city
