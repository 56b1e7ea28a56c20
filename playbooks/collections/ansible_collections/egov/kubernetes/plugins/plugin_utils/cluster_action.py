"""What the action plug-ins of this collection share: checked arguments in, result or readable failure out.

An action runs where Ansible does: what it imports is loaded once for all tasks of a run, whereas each module starts an
interpreter and loads it anew.
"""

from __future__ import annotations

from typing import ClassVar

from ansible.plugins.action import ActionBase
from ansible_collections.egov.kubernetes.plugins.plugin_utils.cluster import (
    FailedError,
    Json,
    Namespace,
    words_of,
)
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError


class ClusterAction(ActionBase):
    """One thing done in a namespace; a subclass names its arguments beside `ARGUMENTS` and does it."""

    _requires_connection = False
    ARGUMENTS: ClassVar[Json] = {
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str", "required": True},
        "context": {"type": "str", "required": True},
    }
    # Which arguments a state needs, as Ansible's modules declare it.
    REQUIRED_IF: ClassVar[list[tuple[str, object, tuple[str, ...]]]] = []

    def act(self, namespace: Namespace, wanted: Json) -> Json:
        """Do it; what the task returns. Raises FailedError."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        result = super().run(tmp, task_vars)
        _, wanted = self.validate_argument_spec(
            argument_spec=self.ARGUMENTS, required_if=self.REQUIRED_IF
        )
        try:
            return result | self.act(Namespace(wanted["context"], wanted["namespace"]), wanted)
        except FailedError as reason:
            failed = {"failed": True, "msg": f"{wanted['name']}: {reason}"}
            return result | reason.told | failed
        except ApiException as error:
            return result | {"failed": True, "msg": f"{wanted['name']}: {words_of(error)}"}
        except HTTPError as error:
            return result | {"failed": True, "msg": f"Kubernetes API: {error}"}
