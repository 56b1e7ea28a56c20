"""neutron's schema on SQLite.

neutron's Alembic migrations use statements that SQLite lacks. So the tables are made from the
models and the migrations are marked as done. That loses the rows that migrations insert: without
the default security group rules no group lets a guest send anything.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa


def make(database: str, config_file: str) -> None:
    """Makes the schema in the file `database`."""
    from neutron.db.migration import cli
    from neutron.db.migration.models import head

    engine = sa.create_engine(f"sqlite:///{database}")
    metadata = head.get_metadata()
    metadata.create_all(engine)
    _add_default_rules(engine, metadata)
    engine.dispose()
    sys.argv = ["neutron-db-manage", "--config-file", config_file, "stamp", "heads"]
    if cli.main():
        raise SystemExit("neutron-db-manage could not mark the schema as current")


def _add_default_rules(engine: sa.Engine, metadata: sa.MetaData) -> None:
    import neutron.db.migration

    versions = Path(neutron.db.migration.__file__).parent / "alembic_migrations" / "versions"
    (file,) = versions.glob("*/expand/*_security_group_default_rules.py")
    migration: dict[str, Any] = runpy.run_path(str(file))
    table_name = migration["table_name"]
    rules, attributes = metadata.tables[table_name], metadata.tables["standardattributes"]
    with engine.begin() as connection:
        for template in migration["default_template_rules"]:
            rule = dict(template)
            added = connection.execute(
                sa.insert(attributes).values(
                    resource_type=table_name,
                    description=rule.pop("description"),
                    revision_number=0,
                )
            )
            (standard_id,) = added.inserted_primary_key
            connection.execute(sa.insert(rules).values(standard_attr_id=standard_id, **rule))
