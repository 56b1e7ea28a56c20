"""A cloud of clouds.yaml over REST: signing in, calls with a time limit, waiting, and errors a person can read.

The modules of this collection stand in the path of an order, where a run's start-up is most of its time: measured, a
call of an openstack.cloud module takes 0.9 to 2 s, of which the cloud needs a tenth, and a server with two volumes
and an address is seven such calls. So these sign in once, do the whole of one resource in one call, run inside
ansible-playbook itself (action plug-ins: the cloud is reached from here anyway, and a module's own interpreter costs
0.4 s of CPU), and use keystoneauth without openstacksdk (0.1 s to import instead of 0.5). Playbooks in which time does
not matter (ops/) use the openstack.cloud collection.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from keystoneauth1 import exceptions as keystone_errors
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

# Where the entry of clouds.yaml says no `api_timeout`.
CALL_TIMEOUT_S = 60
# How often a state is asked for: twice a second of a cloud at rest, and for at most a quarter of the time of one that
# answers slowly. Twenty builds that each ask twice a second keep nova busy with answering instead of building.
POLL_INTERVAL_S = 0.5
POLL_SHARE = 0.25
# No answer at all, or one of a gateway that got none itself.
NO_ANSWER = (None, 502, 504)
# What nova takes in a description: characters of the basic plane (no emoji), none that controls, so many of them.
DESCRIPTION_LIMIT = 255
LAST_OF_BASIC_PLANE = "\uffff"
# Nova answers a value it does not like with the whole pattern that it should have matched.
REASON_LIMIT = 300
# Under which key or in which field every object of ours carries the resource id it belongs to.
RESOURCE_ID_KEY = "egov_resource_id"
SLOT_KEY = "egov_slot"

# Nova 2.79: server tags at creation (2.52), the flavor inside the server (2.47), a description (2.19).
COMPUTE_MICROVERSION = "2.79"
# Cinder 3.42: a volume grows while it is attached.
VOLUME_MICROVERSION = "3.42"

Json = dict[str, Any]
T = TypeVar("T")


class CloudError(Exception):
    """The cloud refused, failed or did not answer; the message is written for a platform engineer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        # The HTTP status, or None where no answer came back.
        self.status = status

    @property
    def answer_was_lost(self) -> bool:
        """True where the cloud may have done what was asked although it did not say so."""
        return self.status is None or self.status >= 500


class Service:
    """One API of a cloud, such as compute, at the address that the cloud's own catalogue gives."""

    def __init__(
        self,
        session: Session,
        service_type: str,
        where: Json,
        path_prefix: str = "",
        microversion: str | None = None,
        endpoint_override: str | None = None,
    ) -> None:
        self._session = session
        self._service_type = service_type
        self._filter = {"service_type": service_type, **where}
        self._path_prefix = path_prefix
        self._microversion = microversion
        # The prefix is ours: an address that ends in it, as openstacksdk takes it, must not double it.
        self._address = endpoint_override and endpoint_override.rstrip("/").removesuffix(
            path_prefix
        )

    def get(self, path: str, **query: Any) -> Json:
        """The JSON object at `path`; CloudError with status 404 where there is none."""
        return self._call("GET", path, params=query)

    def find(self, path: str) -> Json | None:
        """The JSON object at `path`, or None where the cloud says there is none."""
        try:
            return self._call("GET", path)
        except CloudError as error:
            if error.status == 404:
                return None
            raise

    def post(self, path: str, body: Json) -> Json:
        return self._call("POST", path, json=body)

    def put(self, path: str, body: Json) -> Json:
        return self._call("PUT", path, json=body)

    def delete(self, path: str) -> bool:
        """Delete what is at `path`; False where it was gone already."""
        try:
            self._call("DELETE", path)
        except CloudError as error:
            if error.status == 404:
                return False
            raise
        return True

    def patch(self, path: str, body: Json) -> Json:
        return self._call("PATCH", path, json=body)

    @property
    def address(self) -> str:
        """Where this API is, for those who shall use it themselves."""
        found = self._address or self._session.get_endpoint(**self._filter)
        if not found:
            raise CloudError(f"the cloud's catalogue names no {self._service_type} API")
        return str(found)

    def _call(self, method: str, path: str, **kwargs: Any) -> Json:
        response = self.exchange(method, path, **kwargs)
        return response.json() if response.content else {}

    def exchange(self, method: str, path: str, **kwargs: Any) -> Any:
        """The whole answer, where its headers or its text tell; CloudError as of every call."""
        # A read may be asked again without harm; a write whose answer was lost is looked up by its tag instead.
        retries = 2 if method in ("GET", "HEAD") else 0
        try:
            response = self._session.request(
                self._path_prefix + path,
                method,
                endpoint_filter=self._filter,
                endpoint_override=self._address,
                microversion=self._microversion,
                raise_exc=False,
                connect_retries=retries,
                status_code_retries=retries,
                retriable_status_codes=[500, 502, 503, 504],
                **kwargs,
            )
        except keystone_errors.ClientException as error:
            raise CloudError(f"{self._service_type} API: {error}", _status_of(error)) from error
        if response.status_code >= 400:
            raise CloudError(
                f"{self._service_type} API answered {response.status_code} to {method} {path}: "
                f"{_reason_in(response)}",
                response.status_code,
            )
        return response


class Cloud:
    """The APIs of one cloud entry of clouds.yaml; nothing is asked of the cloud before the first call."""

    def __init__(self, name: str, config_file: str | None = None) -> None:
        entry = read_cloud_entry(name, config_file)
        session = Session(
            auth=_sign_in(name, entry),
            verify=entry.get("cacert") or entry.get("verify", True),
            timeout=entry.get("api_timeout") or CALL_TIMEOUT_S,
        )
        where = {
            "interface": entry.get("interface", "public"),
            "region_name": entry.get("region_name"),
        }

        def service(
            service_type: str,
            path_prefix: str = "",
            microversion: str | None = None,
            address: str | None = None,
        ) -> Service:
            override = _endpoint_override(entry, service_type) or address
            return Service(session, service_type, where, path_prefix, microversion, override)

        self.name = name
        self.compute = service("compute", microversion=COMPUTE_MICROVERSION)
        self.volume = service("block-storage", microversion=VOLUME_MICROVERSION)
        self.network = service("network", path_prefix="/v2.0")
        self.image = service("image", path_prefix="/v2")
        self.object_store = service("object-store")
        # As the sign-in: the catalogue's may name no version.
        self.auth_url = _versioned(entry["auth"]["auth_url"])
        self.identity = service("identity", address=self.auth_url)
        self.region = str(entry.get("region_name") or "")


def read_cloud_entry(name: str, config_file: str | None = None) -> Json:
    """The entry `name` of clouds.yaml, with the secure.yaml beside it laid over it, as openstacksdk does."""
    path = Path(
        config_file or os.environ.get("OS_CLIENT_CONFIG_FILE") or "~/.config/openstack/clouds.yaml"
    ).expanduser()
    if not path.is_file():
        raise CloudError(f"there is no {path}; name it in OS_CLIENT_CONFIG_FILE")
    entry = _clouds_in(path).get(name)
    if entry is None:
        raise CloudError(f"{path} has no cloud named {name!r}")
    secure = path.with_name("secure.yaml")
    if secure.is_file():
        secret = _clouds_in(secure).get(name, {})
        entry = {**entry, **secret, "auth": {**entry.get("auth", {}), **secret.get("auth", {})}}
    if "auth_url" not in entry.get("auth", {}):
        raise CloudError(
            f"cloud {name!r} in {path} has no auth.auth_url (profiles are not read here)"
        )
    return entry


def wait_until(check: Callable[[], T | None], what: str, timeout_s: float) -> T:
    """The first result of `check` that is not None; CloudError after `timeout_s` without one."""
    deadline = time.monotonic() + timeout_s
    while True:
        asked_at = time.monotonic()
        result = check()
        if result is not None:
            return result
        if time.monotonic() >= deadline:
            raise CloudError(f"{what}: not seen within {timeout_s:.0f} s")
        time.sleep(max(POLL_INTERVAL_S, (time.monotonic() - asked_at) / POLL_SHARE))


def as_description(text: str) -> str:
    """`text` as every API takes it in a description; a character that nova refuses becomes the replacement sign."""
    taken = (c if c <= LAST_OF_BASIC_PLANE else "\N{REPLACEMENT CHARACTER}" for c in text)
    return " ".join("".join(c if c.isprintable() else " " for c in taken).split())[
        :DESCRIPTION_LIMIT
    ]


def create_once(create: Callable[[], Json], find: Callable[[], Json | None]) -> Json:
    """Create an object exactly once although the cloud's answer may get lost on its way back.

    `find` looks for the object by its tag. After a create without an answer the cloud may still be at it; a service
    that answers with an error of its own is through with it.
    """
    try:
        return create()
    except CloudError as error:
        if not error.answer_was_lost:
            raise
        shows_within_s = 10 if error.status in NO_ANSWER else 1
        try:
            return wait_until(find, "the object whose creation got no answer", shows_within_s)
        except CloudError:
            raise error from None


def _endpoint_override(entry: Json, service_type: str) -> str | None:
    """The address that clouds.yaml gives instead of the catalogue's, under openstacksdk's names."""
    names = {
        "block-storage": ("block_storage", "volume", "volumev3"),
        "object-store": ("object_store",),
    }.get(service_type, (service_type,))
    return next(filter(None, (entry.get(f"{name}_endpoint_override") for name in names)), None)


def _clouds_in(path: Path) -> dict[str, Json]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise CloudError(f"{path} is not valid YAML: {error}") from error
    return content.get("clouds", {})


def _sign_in(name: str, entry: Json) -> Any:
    auth_type = entry.get("auth_type", "password")
    auth = dict(entry["auth"])
    # The versioned address spares one discovery call a run.
    auth["auth_url"] = _versioned(auth["auth_url"])
    plugins = {
        "password": v3.Password,
        "v3password": v3.Password,
        "v3applicationcredential": v3.ApplicationCredential,
        "token": v3.Token,
        "v3token": v3.Token,
    }
    if auth_type not in plugins:
        raise CloudError(
            f"cloud {name!r}: auth_type {auth_type!r} is not one of {', '.join(plugins)}"
        )
    try:
        return plugins[auth_type](**auth)
    except TypeError as error:
        raise CloudError(f"cloud {name!r}: its auth section is not complete: {error}") from error


def _versioned(auth_url: str) -> str:
    address = auth_url.rstrip("/")
    return address if address.endswith("/v3") else f"{address}/v3"


def _status_of(error: keystone_errors.ClientException) -> int | None:
    return error.http_status if isinstance(error, keystone_errors.HttpError) else None


def _reason_in(response: Any) -> str:
    """The sentence inside OpenStack's several shapes of an error body."""
    try:
        body = response.json()
    except ValueError:
        return response.text[:REASON_LIMIT] or "no reason given"
    for value in (body, *(v for v in body.values() if isinstance(v, dict))) if body else ():
        reason = value.get("message") or value.get("detail")
        if isinstance(reason, str):
            return reason[:REASON_LIMIT]
    return str(body)[:REASON_LIMIT]
