"""Makes one service's databases: `python -m lab.openstack.inside.initialise SERVICE ETC_FOLDER`.

One process a service, however many steps: importing a project costs more than most of its
migrations. Schemas without rows of this checkout are copied aside, so that the next state of the
same release starts from them. Passwords come as JSON on standard input.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.openstack.inside import facts
from lab.openstack.inside.facts import Facts
from lab.openstack.inside.parent import die_with_parent

OWN_DATABASES = {"nova": ("nova_api", "nova_cell0", "nova_cell1")}


def init_keystone(known: Facts, passwords: dict[str, str]) -> None:
    """Schema, token keys, the administrator, and the service catalogue."""
    import keystone.conf
    from keystone.cmd import cli
    from keystone.common import sql
    from keystone.common.sql import upgrades

    from lab.openstack.inside import catalogue

    keystone.conf.configure()
    sql.initialize()
    keystone.conf.set_default_for_default_log_levels()
    cli.CONF(args=["--config-file", known.config_files["keystone"]], project="keystone")
    keystone.conf.setup_logging()
    _with_cache(known, "keystone", lambda: upgrades.offline_sync_database_to_version(None))
    catalogue.make_keys(os.getuid(), os.getgid())
    catalogue.fill(known, passwords["admin"], passwords["service"])


def init_placement(known: Facts, _passwords: dict[str, str]) -> None:
    """Schema."""
    from oslo_config import cfg
    from placement import conf, db_api
    from placement.db.sqlalchemy import migration

    config = cfg.ConfigOpts()
    conf.register_opts(config)
    config(["--config-file", known.config_files["placement"]], project="placement")
    db_api.configure(config)
    _with_cache(known, "placement", lambda: migration.upgrade("head"))


def init_glance(known: Facts, _passwords: dict[str, str]) -> None:
    """Schema."""

    def make() -> None:
        from glance.cmd import manage

        sys.argv = ["glance-manage", "--config-file", known.config_files["glance"], "db_sync"]
        manage.main()

    _with_cache(known, "glance", make)


def init_nova(known: Facts, _passwords: dict[str, str]) -> None:
    """Schemas, and the two cells that every nova has."""
    os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "true"
    # First of all: it refuses native threads once anything has imported eventlet.
    manage = importlib.import_module("nova.cmd.manage")
    import nova.conf
    from nova import config, objects
    from nova.db import migration

    config.parse_args(["nova-manage", "--config-file", known.config_files["nova"]])
    objects.register_all()

    def make() -> None:
        migration.db_sync(database="api")
        migration.db_sync(database="main")
        # Cell 0 has the schema of every other cell: a copy spares the second run.
        _copy_database(Path(known.databases["nova_cell1"]), Path(known.databases["nova_cell0"]))

    _with_cache(known, "nova", make)
    connection = nova.conf.CONF.database.connection
    cells = manage.CellV2Commands()
    faults = [
        cells.map_cell0(database_connection=connection.replace("nova_cell1", "nova_cell0")),
        cells.create_cell(name="cell1", transport_url="fake:///", database_connection=connection),
    ]
    if any(faults):
        raise SystemExit(f"nova's cells were not made: {faults}")


def init_cinder(known: Facts, _passwords: dict[str, str]) -> None:
    """Schema."""

    def make() -> None:
        from cinder import objects
        from cinder.cmd import manage
        from cinder.db import migration

        objects.register_all()
        manage.CONF(["--config-file", known.config_files["cinder"]], project="cinder")
        migration.db_sync()

    _with_cache(known, "cinder", make)


def init_neutron(known: Facts, _passwords: dict[str, str]) -> None:
    """Schema."""

    def make() -> None:
        from lab.openstack.inside import neutron_schema

        neutron_schema.make(known.databases["neutron"], known.config_files["neutron"])

    _with_cache(known, "neutron", make)


def init_swift(known: Facts, _passwords: dict[str, str]) -> None:
    """Rings: swift makes its databases itself, one an account and one a container."""
    from lab.openstack.inside import object_server

    object_server.make_rings(known)


SERVICES: dict[str, Callable[[Facts, dict[str, str]], None]] = {
    "keystone": init_keystone,
    "placement": init_placement,
    "glance": init_glance,
    "nova": init_nova,
    "cinder": init_cinder,
    "neutron": init_neutron,
    "swift": init_swift,
}


def _with_cache(known: Facts, service: str, make: Callable[[], None]) -> None:
    """Takes the service's empty databases from the cache, else makes them and fills it."""
    cache = Path(known.schema_cache)
    targets = [Path(known.databases[name]) for name in OWN_DATABASES.get(service, (service,))]
    for target in targets:  # what an interrupted start left: a stale WAL would spoil the new file
        for suffix in ("", "-wal", "-shm"):
            Path(f"{target}{suffix}").unlink(missing_ok=True)
    if all((cache / target.name).exists() for target in targets):
        for target in targets:
            shutil.copyfile(cache / target.name, target)
        return
    make()
    cache.mkdir(parents=True, exist_ok=True)
    for target in targets:
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            whole = Path(folder) / target.name
            _copy_database(target, whole)
            whole.replace(cache / target.name)


def _copy_database(source: Path, target: Path) -> None:
    """Copies through SQLite itself, so that nothing is missed that is still in the WAL."""
    target.unlink(missing_ok=True)
    opened, copied = sqlite3.connect(source), sqlite3.connect(target)
    try:
        opened.backup(copied)
    finally:
        opened.close()
        copied.close()


def _let_readers_pass_writers(known: Facts, service: str) -> None:
    """The WAL mode is kept in the file; without it a reader blocks every writer."""
    for name in OWN_DATABASES.get(service, (service,)):
        connection = sqlite3.connect(known.databases[name])
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()


def main() -> None:
    die_with_parent()
    service, etc = sys.argv[1:]
    passwords: dict[str, Any] = json.load(sys.stdin)
    known = facts.read(Path(etc))
    sys.argv = [f"lab-{service}"]
    SERVICES[service](known, passwords)
    if service != "swift":
        _let_readers_pass_writers(known, service)


if __name__ == "__main__":
    main()
