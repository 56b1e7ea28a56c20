"""What a resource's pods write, read from its cloud when somebody looks; nothing of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from controlplane import policy
from controlplane.access import PodLog
from controlplane.catalogue.versions import Catalogue
from controlplane.db import Database
from controlplane.errors import ConfigurationMissing, Forbidden, NoLogs
from controlplane.policy import Subject
from controlplane.provisioning.models import Resource
from controlplane.reports.resources import find_resource

LINES_MAX, BYTES_MAX, PODS_MAX = 200, 64 * 1024, 10


class TellsLogs(Protocol):
    def pod_logs(
        self, namespace: str, resource_id: str, *, lines: int, limit_bytes: int, pods: int
    ) -> list[PodLog]:
        """Errors: CloudUnavailable, CloudRefused."""


class Logs:
    """`cloud_of` gives the driver of an engine; None where this process has no way to it."""

    def __init__(
        self,
        db: Database,
        catalogue: Catalogue,
        cloud_of: Callable[[str], TellsLogs | None],
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.cloud_of = cloud_of

    def are_kept_of(self, resource: Resource) -> bool:
        """Whether there is anything to ask for."""
        service = self.catalogue.find(resource)
        has_pods = bool(resource.outputs.get("namespace")) and resource.state != "retired"
        return service is not None and service.has_logs and has_pods

    def read(self, subject: Subject, resource_id: str) -> list[PodLog]:
        """The last lines of each pod, the newest pod first.

        Errors: NotFound, Forbidden, NoLogs, ConfigurationMissing, CloudUnavailable, CloudRefused.
        """
        with self.db.read() as session:
            resource = find_resource(session, subject, resource_id)
            path = resource.department.path
            if not policy.is_allowed(subject, "resource.logs", department_path=path):
                raise Forbidden
            if not self.are_kept_of(resource):
                raise NoLogs(state=resource.state)
            engine = self.catalogue.of(resource).engine_of(resource.spec)
            namespace = str(resource.outputs["namespace"])
        cloud = self.cloud_of(engine)
        if cloud is None:
            raise ConfigurationMissing(what=f"a way to {engine}")
        return cloud.pod_logs(
            namespace, resource_id, lines=LINES_MAX, limit_bytes=BYTES_MAX, pods=PODS_MAX
        )
