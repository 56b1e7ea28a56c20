"""What may be done with an instance is the same wherever it stands, and leads to tasks there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.catalogue.loader import load_catalogue
from controlplane.catalogue.services import Service
from controlplane.config import CHECKOUT

PLAYBOOKS = CHECKOUT / "playbooks"
CATALOGUE = load_catalogue(PLAYBOOKS / "services")
SERVERS = ("postgresql", "mariadb", "redis", "rabbitmq")
#: Actions that are for some places only: a machine is changed itself, and alone has networks that
#: are let in and a certificate in the register; a disk of one's own needs nobody to hold it to the
#: plan; MariaDB has but one setting that is not for a whole server.
IN_PLACES = {
    "postgresql": {
        "change": ("shared", "kubernetes"),
        "set_clients": ("machine",),
        "renew": ("machine",),
        "hold_to_plan": ("shared",),
    },
    "mariadb": {
        "change": ("shared", "kubernetes"),
        "set_clients": ("machine",),
        "renew": ("machine",),
        "set_parameters": ("kubernetes", "machine"),
        "set_statement_limit": ("shared",),
    },
}
ROLES = {"kubernetes": "kubernetes_server", "machine": "machine_server"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tasks_there(role: str) -> set[str]:
    return {path.stem for path in (PLAYBOOKS / "roles" / role / "tasks").glob("*.yml")}


def ways_of(engine: str) -> dict[str, str]:
    """The files by which tasks are come to that are not simply done inside."""
    if engine not in ROLES:
        return {}
    role = ROLES[engine]
    return dict(read(PLAYBOOKS / "roles" / role / "defaults" / "main.yml")[f"{role}_ways"])


@pytest.mark.parametrize("code", SERVERS)
def test_an_action_is_for_every_place_but_where_there_is_a_reason(code: str) -> None:
    told = {name: a.engines for name, a in CATALOGUE[code].actions.items() if a.engines}
    assert told == IN_PLACES.get(code, {})


@pytest.mark.parametrize(
    "service",
    [version for code in SERVERS for version in CATALOGUE.versions(code)],
    ids=lambda service: f"{service.code}-{service.version}",
)
def test_every_action_leads_to_tasks_in_every_place(service: Service) -> None:
    inside = tasks_there(f"shared_{service.code}")
    for code, action in service.actions.items():
        tasks = read(service.playbook_path(action))[0]["vars"]["tasks_of_action"][code]
        for engine in action.engines or service.engines:
            way = ways_of(engine).get(tasks)
            there = tasks_there(ROLES[engine]) if way else inside
            assert (way or tasks) in there, (code, engine)
