"""A backup of one PostgreSQL database: dumped and measured in one snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.egov.databases.plugins.plugin_utils.archives import MIB, write_archive
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import rows_of
from ansible_collections.egov.databases.plugins.plugin_utils.measures import (
    begin_unchanged,
    measure,
    prepare,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server

LOCK_PATIENCE_MS = 60_000


def dump(server: Server, database: str, archive: Mapping[str, Any]) -> dict[str, Any]:
    """The archive is written; what the play may report of it. Errors: ArchiveError, psycopg.Error."""
    with server.connect(database, autocommit=True) as connection:
        prepare(connection)
        begin_unchanged(connection, LOCK_PATIENCE_MS)
        row = connection.execute(
            "SELECT pg_export_snapshot(), pg_database_size(current_database())"
        ).fetchone()
        assert row is not None
        taken_at = datetime.now(UTC)
        written = write_archive(
            Path(archive["path"]),
            archive["recipient"],
            [
                *(str(server.tools / "pg_dump"), "--format=custom", f"--snapshot={row[0]}"),
                *("--no-password", f"--lock-wait-timeout={LOCK_PATIENCE_MS}"),
            ],
            server.environment(database),
            archive["reserve_mib"] * MIB,
        )
        measured = measure(connection)
        version = connection.info.parameter_status("server_version")
        connection.execute("COMMIT")
    return {
        "taken_at": taken_at.isoformat(),
        "size_bytes": written.size_bytes,
        "manifest": {
            "engine": "postgresql",
            "server_version": version,
            "database": database,
            "database_bytes": int(row[1]),
            "sha256": written.sha256,
            "rows": rows_of(measured),
            **measured,
        },
    }
