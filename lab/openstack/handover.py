"""What the code inside the services and the cloud's clients are told: facts and `clouds.yaml`."""

from __future__ import annotations

import json
from dataclasses import asdict

from lab.openstack import SERVICES
from lab.openstack.config import DATABASES, Context
from lab.openstack.inside.facts import FILE as FACTS_FILE
from lab.openstack.inside.facts import Facts, PoolSize


def write(context: Context) -> None:
    """Writes both files into the state."""
    _write_facts(context)
    _write_clouds_yaml(context)


def _write_facts(context: Context) -> None:
    """What the code inside the services needs to know."""
    known = Facts(
        data_plane=context.record.data_plane,
        region=context.settings.openstack.region,
        http_threads=context.settings.openstack.http_threads,
        pools=tuple(
            PoolSize(
                code=pool.code,
                compute_host=pool.compute_host,
                vcpu=pool.vcpu,
                memory_mib=pool.memory_gib * 1024,
                storage_gib=pool.storage_tib * 1024,
            )
            for pool in context.settings.openstack.pools
        ),
        endpoints={service: context.endpoint(service) for service in SERVICES},
        config_files={service: str(context.file(service)) for service in SERVICES},
        databases={name: str(context.paths.database(name)) for name in DATABASES},
        schema_cache=str(context.paths.schema_cache),
    )
    (context.paths.etc / FACTS_FILE).write_text(
        json.dumps(asdict(known), indent=1), encoding="utf-8"
    )


def _write_clouds_yaml(context: Context) -> None:
    """The administrator's credentials, in the format of every OpenStack client."""
    file = context.paths.clouds_yaml
    file.touch(mode=0o600)
    file.write_text(
        f"""\
clouds:
  lab:
    auth:
      auth_url: {context.endpoint("keystone")}
      username: admin
      password: {context.record.admin_password}
      project_name: admin
      user_domain_name: Default
      project_domain_name: Default
    region_name: {context.settings.openstack.region}
    identity_api_version: 3
""",
        encoding="utf-8",
    )
