"""The configuration files of the services, as sections of options; swift's are in
`object_storage.py`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.openstack.paths import Paths
from lab.openstack.record import Record
from lab.ports import LOOPBACK
from lab.settings import Settings

# {section: {option: value}}
Options = dict[str, dict[str, object]]

CONTROLLER = "lab-controller"
FILES = {
    "keystone": "keystone.conf",
    "placement": "placement.conf",
    "glance": "glance-api.conf",
    "nova": "nova.conf",
    "cinder": "cinder.conf",
    "neutron": "neutron.conf",
    "swift": "proxy-server.conf",
}
# Databases: nova keeps three.
DATABASES = (
    "keystone",
    "placement",
    "glance",
    "nova_api",
    "nova_cell0",
    "nova_cell1",
    "cinder",
    "neutron",
)
# The control plane sets each department's own quota; a project without one is not limited.
COMPUTE_QUOTAS = (
    "instances",
    "cores",
    "ram",
    "server_groups",
    "server_group_members",
    "key_pairs",
)
VOLUME_QUOTAS = (
    "quota_volumes",
    "quota_snapshots",
    "quota_gigabytes",
    "quota_backups",
    "quota_backup_gigabytes",
    "per_volume_size_limit",
)
NETWORK_QUOTAS = (
    "network",
    "subnet",
    "port",
    "router",
    "floatingip",
    "security_group",
    "security_group_rule",
)
# keystone puts the project of each token into swift's.
PATH_AFTER_PORT = {
    "keystone": "/v3",
    "nova": "/v2.1",
    "cinder": "/v3",
    "swift": "/v1/AUTH_$(project_id)s",
}


@dataclass(frozen=True)
class Context:
    """What the writers of configuration need to know."""

    settings: Settings
    paths: Paths
    record: Record
    ports: Mapping[str, int]

    def root_url(self, service: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[service]}"

    def endpoint(self, service: str) -> str:
        """The URL in the service catalogue."""
        return self.root_url(service) + PATH_AFTER_PORT.get(service, "")

    def connection(self, database: str) -> str:
        # timeout is sqlite3's: how long a writer waits for another one, seconds.
        return f"sqlite:///{self.paths.database(database)}?timeout=60"

    def file(self, service: str) -> Path:
        return self.paths.etc / service / FILES[service]


def write(context: Context, extra: Mapping[str, Options]) -> None:
    """Writes every file; `extra` holds the data plane's options by service, which win."""
    writers = {
        "keystone": _keystone,
        "placement": _placement,
        "glance": _glance,
        "nova": _nova,
        "cinder": _cinder,
        "neutron": _neutron,
    }
    for service, make in writers.items():
        folder = context.paths.etc / service
        folder.mkdir(parents=True, exist_ok=True)
        options = merged(make(context), extra.get(service, {}))
        context.file(service).write_text(ini(options), encoding="utf-8")
    _copy_shipped_files(context.paths)


def merged(base: Options, over: Options) -> Options:
    """`base` with the options of `over` put in or replaced."""
    result = {section: dict(options) for section, options in base.items()}
    for section, options in over.items():
        result.setdefault(section, {}).update(options)
    return result


def ini(options: Options) -> str:
    lines = []
    for section, values in options.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {_text(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _common(context: Context, service: str) -> Options:
    paths = context.paths
    return {
        "DEFAULT": {
            "log_file": paths.oslo_log(service),
            "use_stderr": False,
            "log_rotation_type": "size",
            "max_logfile_size_mb": 20,
            "max_logfile_count": 1,
            "default_log_levels": "sqlalchemy=WARN,keystonemiddleware=WARN,urllib3=WARN,"
            "stevedore=WARN,oslo.messaging=WARN",
            # Projects talk REST to each other, and a project's API and workers share one process:
            # so oslo.messaging's in-memory transport replaces the broker.
            "transport_url": "fake:///",
            "state_path": paths.data(service),
        },
        "oslo_concurrency": {"lock_path": paths.data(service) / "lock"},
        "oslo_messaging_notifications": {"driver": "noop"},
        "oslo_policy": {"policy_file": "policy.yaml"},
    }


def _database(context: Context, name: str) -> dict[str, object]:
    # Power loss may cost a lab its last transactions; a dying process does not.
    return {"connection": context.connection(name), "sqlite_synchronous": False}


def login(context: Context, service: str) -> dict[str, object]:
    """How `service` signs in to keystone."""
    return {
        "auth_url": context.endpoint("keystone"),
        "auth_type": "password",
        "username": service,
        "password": context.record.service_password,
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }


def _client(context: Context, service: str, **more: object) -> dict[str, object]:
    return {**login(context, service), "region_name": context.settings.openstack.region, **more}


def _token_check(context: Context, service: str) -> dict[str, object]:
    return {
        **login(context, service),
        "www_authenticate_uri": context.endpoint("keystone"),
        "service_token_roles": "service",
        "service_token_roles_required": True,
        "token_cache_time": 300,
    }


def _keystone(context: Context) -> Options:
    etc = context.paths.etc / "keystone"
    common = _common(context, "keystone")
    del common["DEFAULT"]["state_path"], common["oslo_concurrency"], common["oslo_policy"]
    return merged(
        common,
        {
            "DEFAULT": {"public_endpoint": context.root_url("keystone")},
            "database": _database(context, "keystone"),
            "token": {"provider": "fernet", "expiration": 86400},
            "fernet_tokens": {"key_repository": etc / "fernet-keys"},
            # Without a repository of its own keystone looks for one below /etc.
            "fernet_receipts": {"key_repository": etc / "fernet-keys"},
            "credential": {"key_repository": etc / "credential-keys"},
            # The least bcrypt allows: a service signs in often, and the passwords are random.
            "identity": {"password_hash_rounds": 4},
            "cache": {"enabled": True, "backend": "dogpile.cache.memory"},
        },
    )


def _placement(context: Context) -> Options:
    common = _common(context, "placement")
    del common["DEFAULT"]["state_path"], common["DEFAULT"]["transport_url"]
    return merged(
        common,
        {
            "placement_database": _database(context, "placement"),
            "api": {"auth_strategy": "keystone"},
            "keystone_authtoken": _token_check(context, "placement"),
        },
    )


def _glance(context: Context) -> Options:
    data = context.paths.data("glance")
    return merged(
        _common(context, "glance"),
        {
            "DEFAULT": {
                "enabled_backends": "file:file",
                "worker_self_reference_url": context.root_url("glance"),
                "node_staging_uri": f"file://{data}/staging",
            },
            "database": _database(context, "glance"),
            "glance_store": {"default_backend": "file"},
            "file": {"filesystem_store_datadir": data / "images"},
            "os_glance_staging_store": {"filesystem_store_datadir": data / "staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": data / "tasks"},
            "paste_deploy": {
                "flavor": "keystone",
                "config_file": context.paths.etc / "glance" / "glance-api-paste.ini",
            },
            "keystone_authtoken": _token_check(context, "glance"),
        },
    )


def _nova(context: Context) -> Options:
    first_pool = context.settings.openstack.pools[0]
    return merged(
        _common(context, "nova"),
        {
            "DEFAULT": {
                "host": CONTROLLER,
                "concurrency_backend": "threading",
                "my_ip": LOOPBACK,
                # nova puts "nova.virt." before it; the service's start makes that name.
                "compute_driver": "lab_recorded.RecordedGuests",
                "allow_resize_to_same_host": True,
                "instances_path": context.paths.data("nova") / "instances",
                "default_schedule_zone": first_pool.code,
                # What Placement shows is then exactly the pools' size.
                "cpu_allocation_ratio": 1.0,
                "ram_allocation_ratio": 1.0,
                "disk_allocation_ratio": 1.0,
                "reserved_host_memory_mb": 0,
                "reserved_host_disk_mb": 0,
                "running_deleted_instance_action": "noop",
                # Nothing but nova changes a guest's power here.
                "sync_power_state_interval": -1,
            },
            "database": _database(context, "nova_cell1"),
            "api_database": _database(context, "nova_api"),
            "quota": dict.fromkeys(COMPUTE_QUOTAS, -1),
            "keystone_authtoken": _token_check(context, "nova"),
            "service_user": _client(context, "nova", send_service_user_token=True),
            "placement": _client(context, "nova"),
            "neutron": _client(context, "nova", service_metadata_proxy=False),
            "cinder": _client(
                context,
                "nova",
                os_region_name=context.settings.openstack.region,
                cross_az_attach=True,
            ),
            "keystone": _client(context, "nova"),
            "glance": {"api_servers": context.root_url("glance")},
            "vnc": {"enabled": False},
        },
    )


def _cinder(context: Context) -> Options:
    etc = context.paths.etc / "cinder"
    openstack = context.settings.openstack
    options = merged(
        _common(context, "cinder"),
        {
            "DEFAULT": {
                "host": "lab-storage",
                "my_ip": LOOPBACK,
                "auth_strategy": "keystone",
                "api_paste_config": etc / "api-paste.ini",
                "resource_query_filters_file": etc / "resource_filters.json",
                "enabled_backends": ",".join(pool.code for pool in openstack.pools),
                "scheduler_driver_init_wait_time": 2,
                "default_volume_type": openstack.volume_types[0],
                # A volume may be asked for in any pool, in none, or in a zone that has no
                # volume service: the last two land in the first pool.
                "storage_availability_zone": openstack.pools[0].code,
                "default_availability_zone": openstack.pools[0].code,
                "allow_availability_zone_fallback": True,
                "glance_api_servers": context.root_url("glance"),
                "image_conversion_dir": context.paths.data("cinder") / "conversion",
                "rootwrap_config": etc / "rootwrap.conf",
                **dict.fromkeys(VOLUME_QUOTAS, -1),
            },
            "coordination": {"backend_url": f"file://{context.paths.data('cinder')}/coordination"},
            "database": _database(context, "cinder"),
            "keystone_authtoken": _token_check(context, "cinder"),
            "service_user": _client(context, "cinder", send_service_user_token=True),
            "nova": _client(context, "cinder", interface="public"),
        },
    )
    for pool in openstack.pools:
        options[pool.code] = {
            "volume_driver": "lab.openstack.inside.volumes.RecordedVolumes",
            "volume_backend_name": pool.code,
            "backend_availability_zone": pool.code,
        }
    return options


def _neutron(context: Context) -> Options:
    return merged(
        _common(context, "neutron"),
        {
            "DEFAULT": {
                "core_plugin": "ml2",
                "service_plugins": "router",
                "auth_strategy": "keystone",
                "api_paste_config": context.paths.etc / "neutron" / "api-paste.ini",
                "notify_nova_on_port_status_changes": True,
                "notify_nova_on_port_data_changes": True,
                "rpc_workers": 0,
                "dns_domain": "lab.test.",
            },
            "ml2": {
                "type_drivers": "local,flat,vlan,vxlan",
                "tenant_network_types": "vxlan",
                "mechanism_drivers": "lab_recorded",
                "extension_drivers": "port_security,dns",
            },
            "ml2_type_flat": {"flat_networks": "public"},
            "ml2_type_vlan": {"network_vlan_ranges": "public:100:999"},
            "ml2_type_vxlan": {"vni_ranges": "1:4000"},
            "quotas": {f"quota_{name}": -1 for name in NETWORK_QUOTAS},
            "database": _database(context, "neutron"),
            "keystone_authtoken": _token_check(context, "neutron"),
            "nova": _client(context, "neutron"),
            "placement": _client(context, "neutron"),
        },
    )


def _copy_shipped_files(paths: Paths) -> None:
    """Files that the projects ship and look for beside their configuration."""
    shipped = {
        "nova": ["api-paste.ini"],
        "cinder": ["api-paste.ini", "resource_filters.json"],
        "neutron": ["api-paste.ini"],
        "glance": ["glance-api-paste.ini"],
    }
    for service, names in shipped.items():
        for name in names:
            shutil.copy(paths.venv / "etc" / service / name, paths.etc / service / name)
