"""Bringing the database to the newest schema, by Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from controlplane.db import Database

MIGRATIONS = Path(__file__).parent / "migrations"


def alembic_config(db: Database) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["database"] = db
    return config


def upgrade(db: Database) -> None:
    """Creates or upgrades the schema; does nothing when it is the newest."""
    command.upgrade(alembic_config(db), "head")


def newest_revision() -> str | None:
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()
