"""What each golden image holds: one recipe an engine, from Debian's packages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One image: its name in the cloud, what people read of it, its packages, its users."""

    name: str
    title: str
    purpose: str
    packages: tuple[str, ...]
    without: tuple[str, ...]
    unwanted: tuple[str, ...]
    users: tuple[tuple[str, int], ...]


POSTGRESQL = Recipe(
    name="egov-postgresql-15",
    title="Debian 12 with PostgreSQL 15",
    purpose="postgresql",
    packages=("postgresql-15",),
    without=("postgresql-client-common", "postgresql-common", "libllvm14", "ssl-cert"),
    unwanted=(
        *("usr/lib/llvm-14", "usr/lib/postgresql/15/lib/bitcode"),
        "usr/share/postgresql/15/man",
    ),
    users=(("postgres", 999),),
)
# The server without its client, as in the cluster: whoever administers it comes over TLS.
MARIADB = Recipe(
    name="egov-mariadb-10.11",
    title="Debian 12 with MariaDB 10.11",
    purpose="mariadb",
    packages=("mariadb-server-core",),
    without=("mariadb-common", "mysql-common"),
    unwanted=(
        # Of use only beside a client; and the texts of HELP, 2 MB that nobody loads.
        *("usr/bin/mariadb-upgrade", "usr/bin/innochecksum", "usr/bin/resolveip"),
        "usr/share/mysql/fill_help_tables.sql",
    ),
    users=(("mysql", 998),),
)
RECIPES = (POSTGRESQL, MARIADB)
