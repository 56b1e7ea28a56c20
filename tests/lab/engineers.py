"""A platform engineer who runs the playbooks for Kubernetes by hand, without a control plane."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.config import CHECKOUT
from controlplane.drivers.kubernetes import KUBECONFIG, KubernetesCloud
from tests.lab.servers.shared_roles import service_of

PROJECT = "egov-water-internet"
QUOTA = {"vcpu": 40, "memory_mib": 163840, "storage_gib.standard": 500}


@dataclass
class Engineer:
    """Somebody at the top of the repository with a kubeconfig of the control plane's making."""

    cloud: KubernetesCloud
    inventory: Path
    folder: Path

    def changes(self, playbook: str, **values: Any) -> int:
        """How many tasks of a run, which must end well, changed something."""
        access = self.cloud.run_access(PROJECT)
        kubeconfig = self.folder / KUBECONFIG
        kubeconfig.write_text(json.dumps(access.files[KUBECONFIG]))
        variables = self.folder / "variables.json"
        variables.write_text(json.dumps({"controlplane": {**self._values(playbook), **values}}))
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("-i", str(self.inventory), f"playbooks/{playbook}", "-e", f"@{variables}"),
            ],
            cwd=CHECKOUT,
            env={**os.environ, **{name: str(kubeconfig) for name in access.variables}},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.search(r"changed=(\d+)", done.stdout)
        assert found is not None, done.stdout
        return int(found[1])

    @staticmethod
    def _values(playbook: str) -> dict[str, Any]:
        kind, name, *_ = Path(playbook).parts
        return {
            "action": "provision",
            "service_version": service_of(name).version if kind == "services" else "",
            "is_undoing": False,
            "engine": "kubernetes",
            "job_number": "J-20261124-0001",
            "zone": "internet",
            "department": {
                "code": "water",
                "name": "水务局",
                "project": PROJECT,
                "namespace": PROJECT,
            },
            "quota": QUOTA,
            "outputs": {},
            "secrets": {"password": "not-a-real-one"},
            "previous_secrets": {},
            "previous_spec": {},
        }
