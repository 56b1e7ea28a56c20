"""What the action plug-ins of this collection share: checked arguments in, result or readable failure out."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.egov.openstack.plugins.plugin_utils.rest import (
    Cloud,
    CloudError,
    Json,
    as_description,
)


class CloudAction(ActionBase):
    """One resource brought to a wanted state; a subclass names its arguments and does it.

    `cloud` and `description` are among the arguments of every subclass.
    """

    _requires_connection = False
    ARGUMENTS: ClassVar[dict[str, Any]]
    # Which arguments a state needs, as Ansible's modules declare it.
    REQUIRED_IF: ClassVar[list[tuple[str, str, list[str]]]] = []

    def act(self, cloud: Cloud, wanted: Json) -> tuple[bool, Json]:
        """Do it; (whether anything was changed, what the control plane keeps about the resource)."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        result = super().run(tmp, task_vars)
        _, wanted = self.validate_argument_spec(
            argument_spec=self.ARGUMENTS, required_if=self.REQUIRED_IF
        )
        # A department may call its system what it likes.
        wanted["description"] = as_description(wanted["description"])
        try:
            changed, outputs = self.act(Cloud(wanted["cloud"]), wanted)
        except CloudError as error:
            raise AnsibleActionFail(str(error)) from error
        return {**result, "changed": changed, "outputs": outputs}
