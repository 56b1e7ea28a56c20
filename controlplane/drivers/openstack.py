"""One OpenStack cloud, by its entry of clouds.yaml and openstacksdk."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

import keystoneauth1.exceptions as auth_errors
import openstack
import openstack.exceptions as sdk_errors
from openstack.connection import Connection

from controlplane.access import Access
from controlplane.drivers.ssh import Rescue, announced_keys, fingerprint, prove_host_key
from controlplane.errors import CloudRefused, CloudUnavailable
from controlplane.readings import DiskReading, Measured

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

CLOUDS_FILE = "clouds.yaml"
API_TIMEOUT_SECONDS = 30
PROBE_TIMEOUT_SECONDS = 5
PROBED_SERVICES = ("compute", "network", "block-storage")
#: Asked where the cloud's catalogue names them.
OBJECT_STORE = "object-store"
PROBED_IF_THERE = (OBJECT_STORE,)
#: Headers of a container: whose it is, as its playbook writes it, and what is stored in it.
BUCKET_OF, BUCKET_BYTES = "X-Container-Meta-Egov-Resource-Id", "X-Container-Bytes-Used"
PROOF_TIMEOUT_SECONDS = 300
#: A machine that has printed nothing of itself by then is started again, once.
STUCK_AFTER_SECONDS = 120
#: A property of images: what machines of them are for.
PURPOSE = "egov_purpose"
PLACEMENT_VERSION = "1.14"  # member_of and in:, forbidden nowhere we look


def _speaks_our_errors(function: Callable[P, R]) -> Callable[P, R]:
    """SDK errors as CloudUnavailable (try again) or CloudRefused (do not)."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except sdk_errors.HttpException as error:
            status = error.status_code or 0
            kind = CloudUnavailable if status >= 500 or status in (0, 408, 429) else CloudRefused
            raise kind(reason=f"HTTP {status}: {error}"[:500]) from error
        except (sdk_errors.SDKException, auth_errors.ClientException, OSError) as error:
            raise CloudUnavailable(reason=str(error)[:500]) from error

    return wrapped


class OpenStackCloud:
    """`entry` is the cloud's own entry of clouds.yaml: the platform's administrator."""

    def __init__(self, name: str, entry: Mapping[str, Any]) -> None:
        self.name = name
        self._entry = dict(entry)
        self._admin: Connection | None = None

    # --- for playbooks --------------------------------------------------------------------------

    def run_access(self, project: str) -> Access:
        """A clouds.yaml with the entries `admin`, and `department` scoped to its project."""
        entries = {"admin": copy.deepcopy(self._entry), "department": self._scoped(project)}
        return Access({CLOUDS_FILE: {"clouds": entries}}, {"OS_CLIENT_CONFIG_FILE": CLOUDS_FILE})

    def _scoped(self, project: str) -> dict[str, Any]:
        entry = copy.deepcopy(self._entry)
        auth = {k: v for k, v in entry["auth"].items() if k != "project_id"}
        auth["project_name"] = project
        auth.setdefault("project_domain_name", "Default")
        return {**entry, "auth": auth}

    # --- answering at all -----------------------------------------------------------------------

    @_speaks_our_errors
    def check(self, _service: str = "") -> None:
        """Whether the cloud's APIs answer: any answer below 500 will do.

        Errors: CloudUnavailable, naming the first API that does not.
        """
        admin = self._connection()
        self._probe(admin, "identity", self._entry["auth"]["auth_url"])
        for service in PROBED_SERVICES:
            self._probe(admin, service, admin.session.get_endpoint(service_type=service))
        for service in PROBED_IF_THERE:
            if address := admin.session.get_endpoint(service_type=service):
                self._probe(admin, service, address)

    @staticmethod
    def _probe(admin: Connection, service: str, address: str | None) -> None:
        if not address:
            raise CloudUnavailable(reason=f"the cloud's catalogue names no {service} API")
        answer = admin.session.get(
            address, authenticated=False, raise_exc=False, timeout=PROBE_TIMEOUT_SECONDS
        )
        if answer.status_code >= 500:
            raise CloudUnavailable(reason=f"the {service} API answers {answer.status_code}")

    # --- reading --------------------------------------------------------------------------------

    @_speaks_our_errors
    def pool_facts(self, availability_zone: str) -> tuple[dict[str, int], list[dict[str, str]]]:
        """What an availability zone has, by dimension, and the public images as {name, title}.

        CPU and memory: Placement's inventories less what is reserved, times the allocation ratio,
        over the zone's hosts. Storage: the zone's volume backends.
        """
        admin = self._connection()
        capacity = self._compute_capacity(admin, availability_zone)
        capacity["storage_gib"] = self._storage_gib(admin, availability_zone)
        images = [
            {"name": i.name, "title": i.properties.get("os_name") or i.name}
            for i in admin.image.images(visibility="public", status="active")
            # A golden image is for what is ordered with a machine, not for a machine's own sake.
            if (i.disk_format or "") not in ("aki", "ari") and PURPOSE not in i.properties
        ]
        return capacity, sorted(images, key=lambda i: i["name"])

    @_speaks_our_errors
    def disk_readings(self, resources: Sequence[Measured]) -> dict[str, DiskReading]:
        """What is stored in the containers of object storage; a container that is not there, or is
        another's, has none. It refuses by itself what its quota does not take."""
        buckets = [r for r in resources if "container" in r.outputs]
        found: dict[str, DiskReading] = {}
        if not buckets:
            return found
        admin = self._connection()
        own_account = admin.session.get_endpoint(service_type=OBJECT_STORE) or ""
        for bucket in buckets:
            account = f"AUTH_{bucket.outputs['project_id']}"
            container = quote(bucket.outputs["container"], safe="")
            address = f"{own_account.rpartition('/')[0]}/{account}/{container}"
            headers = admin.session.head(address, raise_exc=False).headers
            if headers.get(BUCKET_OF) == bucket.resource_id:
                found[bucket.resource_id] = DiskReading(int(headers[BUCKET_BYTES]), False)
        return found

    @staticmethod
    def _compute_capacity(admin: Connection, availability_zone: str) -> dict[str, int]:
        aggregates = [
            a.uuid for a in admin.compute.aggregates() if a.availability_zone == availability_zone
        ]
        totals = {"vcpu": 0.0, "memory_mib": 0.0}
        if not aggregates:
            return {"vcpu": 0, "memory_mib": 0}
        providers = _placement(admin, f"/resource_providers?member_of=in:{','.join(aggregates)}")[
            "resource_providers"
        ]
        for provider in providers:
            path = f"/resource_providers/{provider['uuid']}/inventories"
            inventories = _placement(admin, path)["inventories"]
            for dimension, resource_class in (("vcpu", "VCPU"), ("memory_mib", "MEMORY_MB")):
                inventory = inventories.get(resource_class)
                if inventory:
                    usable = inventory["total"] - inventory["reserved"]
                    totals[dimension] += usable * inventory["allocation_ratio"]
        return {dimension: int(total) for dimension, total in totals.items()}

    @staticmethod
    def _storage_gib(admin: Connection, availability_zone: str) -> int:
        hosts = {
            s.host
            for s in admin.block_storage.services()
            if s.binary == "cinder-volume" and s.availability_zone == availability_zone
        }
        total = 0.0
        for pool in admin.block_storage.backend_pools():
            if pool.name.partition("#")[0] in hosts:
                # oslo reports "infinite" or "unknown" for backends that cannot tell
                amount = (pool.capabilities or {}).get("total_capacity_gb", 0)
                total += amount if isinstance(amount, int | float) else 0
        return int(total)

    def prove_machine(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Waits until the delivered machine answers SSH with the host key of its own console.

        Returns what was proven: `host_key`, `host_key_sha256`. Errors: CloudUnavailable.
        """
        addresses = outputs.get("addresses") or {}
        address = addresses.get("floating")
        if not address:
            return {}
        # As the administrator, who is signed in already: signing in as the department takes longer
        # than the machine needs to boot.
        console = partial(self._console, self._connection(), outputs["server_id"])
        key = prove_host_key(
            address,
            lambda: announced_keys(console()),
            timeout_seconds=PROOF_TIMEOUT_SECONDS,
            rescue=Rescue(STUCK_AFTER_SECONDS, partial(self._start_again, outputs["server_id"])),
        )
        return {"host_key": key, "host_key_sha256": fingerprint(key)}

    @_speaks_our_errors
    def _start_again(self, server_id: str) -> None:
        log.warning("server %s is silent: started again", server_id)
        compute: Any = self._connection().compute
        compute.reboot_server(server_id, "HARD")

    @staticmethod
    @_speaks_our_errors
    def _console(connection: Connection, server_id: str) -> str:
        answer = connection.compute.get_server_console_output(server_id)
        return str(answer.get("output") or "") if isinstance(answer, dict) else ""

    # --- connections ----------------------------------------------------------------------------

    def _connection(self) -> Connection:
        if self._admin is None:
            self._admin = self._connect(self._entry)
        return self._admin

    @staticmethod
    def _connect(entry: Mapping[str, Any]) -> Connection:
        return openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            **{"api_timeout": API_TIMEOUT_SECONDS, **copy.deepcopy(dict(entry))},
        )


def _placement(admin: Connection, path: str) -> Any:
    answer = admin.placement.get(path, microversion=PLACEMENT_VERSION)
    if answer.status_code >= 400:
        raise CloudUnavailable(reason=f"placement: HTTP {answer.status_code}")
    return answer.json()
