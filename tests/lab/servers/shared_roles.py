"""The playbook of a service on a shared server, run as the control plane does, without a city."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from controlplane.catalogue.loader import load_catalogue
from controlplane.catalogue.services import Service
from controlplane.config import CHECKOUT

#: A shell, SQL, YAML and a URI would each read one of these as something else.
ODD_PASSWORD = """q'u"o$te\\d `%s` {{ 1 }} ;#@/:?&"""


def server_of(service: str, inventory: Path) -> Mapping[str, Any]:
    """The variables of the shared server, and its administrator's password."""
    groups = yaml.safe_load(inventory.read_text(encoding="utf-8"))["all"]["children"]
    found: dict[str, Any] = dict(groups["shared_services"]["hosts"][f"shared_{service}"])
    file = Path(found["service_admin_password_file"])
    return {**found, "password": file.read_text(encoding="utf-8").strip()}


def service_of(name: str) -> Service:
    return load_catalogue(CHECKOUT / "playbooks" / "services")[name]


def plan_of(name: str, code: str) -> dict[str, Any]:
    declared = yaml.safe_load((CHECKOUT / "playbooks/services" / name / "service.yml").read_text())
    return next(dict(plan) for plan in declared["plans"] if plan["code"] == code)


@dataclass
class Instance:
    """One resource as the control plane keeps it: what is asked, reported and secret."""

    service: str
    inventory: Path
    folder: Path
    spec: dict[str, Any]
    password: str
    resource_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    outputs: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)  # whatever else its runs are told

    @property
    def server(self) -> Mapping[str, Any]:
        return server_of(self.service, self.inventory)

    def run(self, action: str, inputs: Mapping[str, Any] | None = None, account: str = "") -> int:
        """The action carried out; how many of its tasks changed anything. `account` is the
        password of the account that it is about."""
        done = self._play(action, inputs or {}, account)
        assert done.returncode == 0, done.stdout + done.stderr
        reported = re.search(r"RUN: (\{.*)", done.stdout)
        if reported:
            self.outputs |= json.loads(reported[1])["controlplane"]["outputs"]
        recap = re.search(r"ok=\d+ +changed=(\d+)", done.stdout)
        assert recap, done.stdout
        return int(recap[1])

    def fails(self, action: str, inputs: Mapping[str, Any], account: str = "") -> str:
        """What an action that must fail says."""
        done = self._play(action, inputs, account)
        assert done.returncode != 0, done.stdout
        return done.stdout

    def _play(
        self, action: str, inputs: Mapping[str, Any], account: str
    ) -> subprocess.CompletedProcess[str]:
        secrets = {"password": self.password, **({"account": account} if account else {})}
        variables = {
            "action": action,
            "engine": "shared",
            "resource_id": self.resource_id,
            "spec": self.spec,
            "outputs": self.outputs,
            "secrets": secrets,
            "inputs": dict(inputs),
            "job_number": self.resource_id,
            **self.told,
        }
        file = self.folder / f"{self.resource_id}.json"
        # As ansible-runner hands it over: no `{{` of a password is a template.
        unsafe = {"controlplane": _unsafe(variables)}
        file.write_text(yaml.safe_dump(unsafe), encoding="utf-8")
        playbook = CHECKOUT / "playbooks" / "services" / self.service / "manage.yml"
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("-i", str(self.inventory), str(playbook), "-e", f"@{file}"),
            ],
            cwd=CHECKOUT,
            env={**os.environ, "ANSIBLE_SHOW_CUSTOM_STATS": "1", "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not any(secret in done.stdout for secret in secrets.values())
        return done


class _Unsafe(str):
    pass


def _unsafe(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unsafe(inner) for key, inner in value.items()}
    return _Unsafe(value) if isinstance(value, str) and "{{" in value else value


yaml.SafeDumper.add_representer(
    _Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"')
)
