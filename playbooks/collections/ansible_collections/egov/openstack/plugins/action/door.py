"""The port of a machine that is open for those who are named; the options stand in modules/door.py."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.egov.openstack.plugins.plugin_utils.cloud_action import CloudAction
from ansible_collections.egov.openstack.plugins.plugin_utils.doors import ensure_door
from ansible_collections.egov.openstack.plugins.plugin_utils.rest import Cloud, Json


class ActionModule(CloudAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "cloud": {"type": "str", "required": True},
        "resource_id": {"type": "str", "required": True},
        "port_id": {"type": "str", "required": True},
        "tcp_port": {"type": "int", "required": True},
        "networks": {"type": "list", "elements": "str", "default": []},
        "security_group": {"type": "str", "required": True},
        "description": {"type": "str", "default": ""},
    }

    def act(self, cloud: Cloud, wanted: Json) -> tuple[bool, Json]:
        return ensure_door(cloud, wanted), {}
