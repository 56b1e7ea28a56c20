"""neutron mechanism driver of the data plane `none`: binds every port, moves no packet."""

from __future__ import annotations

from typing import Any

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class RecordedPorts(api.MechanismDriver):  # type: ignore[misc]  # neutron has no types
    """Without an agent nobody binds a port, and a server with an unbound port fails to build."""

    resource_provider_uuid5_namespace = None

    def initialize(self) -> None:
        """Nothing to prepare."""

    def bind_port(self, context: Any) -> None:
        segment = next(iter(context.segments_to_bind), None)
        if segment is not None:
            context.set_binding(
                segment[api.ID],
                portbindings.VIF_TYPE_OVS,
                {portbindings.CAP_PORT_FILTER: True},
                status=constants.PORT_STATUS_ACTIVE,
            )
