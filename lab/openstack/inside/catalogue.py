"""keystone's first rows: keys, the administrator, the services' users and the endpoints.

Written through keystone's own managers before it serves, not by its API: so all services can be
started at once.
"""

from __future__ import annotations

import uuid

from keystone.cmd import bootstrap
from keystone.common import fernet_utils, provider_api
from keystone.conf import CONF
from keystone.credential.providers import fernet as credential_fernet

from lab.openstack.inside.facts import Facts

API = provider_api.ProviderAPIs

SERVICE_TYPES = {
    "placement": "placement",
    "glance": "image",
    "nova": "compute",
    "neutron": "network",
    "cinder": "block-storage",
}
INTERFACES = ("public", "internal", "admin")


def make_keys(uid: int, gid: int) -> None:
    """The key folders for tokens and for stored credentials."""
    tokens = (CONF.fernet_tokens.key_repository, CONF.fernet_tokens.max_active_keys)
    credentials = (CONF.credential.key_repository, credential_fernet.MAX_ACTIVE_KEYS)
    for (folder, keys), section in ((tokens, "fernet_tokens"), (credentials, "credential")):
        repository = fernet_utils.FernetUtils(folder, keys, section)
        repository.create_key_directory(uid, gid)
        if not repository.validate_key_repository(requires_write=True):
            raise SystemExit(f"keystone cannot write its keys to {folder}")
        repository.initialize_key_repository(uid, gid)


def fill(known: Facts, admin_password: str, service_password: str) -> None:
    """The administrator, and for each service a user, a catalogue entry and endpoints."""
    first = bootstrap.Bootstrapper()
    first.admin_username = first.project_name = first.admin_role_name = "admin"
    first.admin_password = admin_password
    first.service_name = "keystone"
    first.service_id = uuid.uuid4().hex
    first.region_id = known.region
    first.public_url = first.internal_url = first.admin_url = known.endpoints["keystone"]
    first.immutable_roles = True
    first.bootstrap()

    project_id = _add_service_project(first.default_domain_id)
    for name, kind in SERVICE_TYPES.items():
        user = API.identity_api.create_user(
            {
                "name": name,
                "domain_id": first.default_domain_id,
                "password": service_password,
                "default_project_id": project_id,
                "enabled": True,
            }
        )
        for role_id in (first.admin_role_id, first.service_role_id):
            API.assignment_api.add_role_to_user_and_project(user["id"], project_id, role_id)
        _add_endpoints(name, kind, known)


def _add_service_project(domain_id: str) -> str:
    project_id = uuid.uuid4().hex
    API.resource_api.create_project(
        project_id,
        {
            "id": project_id,
            "name": "service",
            "domain_id": domain_id,
            "description": "Users of the OpenStack services",
            "enabled": True,
        },
    )
    return project_id


def _add_endpoints(name: str, kind: str, known: Facts) -> None:
    service_id = uuid.uuid4().hex
    API.catalog_api.create_service(
        service_id, {"id": service_id, "name": name, "type": kind, "enabled": True}
    )
    for interface in INTERFACES:
        endpoint_id = uuid.uuid4().hex
        API.catalog_api.create_endpoint(
            endpoint_id,
            {
                "id": endpoint_id,
                "service_id": service_id,
                "region_id": known.region,
                "interface": interface,
                "url": known.endpoints[name],
                "enabled": True,
            },
        )
