"""MariaDB, the platform's shared one: TLS only, and no login but the administrator's at first."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab import ports
from lab.errors import LabError
from lab.progress import Progress
from lab.services import debian
from lab.services.engine import ADMIN, ANSWER_TIMEOUT_S, Command, Engine, Programs, Server, tail
from lab.settings import Settings
from lab.unprivileged import User

PROGRAMS = ("usr/sbin/mariadbd", "usr/bin/mariadb")

# What makes the system tables, in this order. Debian's own script does the same, but for paths with
# a space in them.
SYSTEM_TABLES = (
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
    "fill_help_tables.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mysql_sys_schema.sql",
)
BEFORE_SYSTEM_TABLES = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"

# The accounts of the installation, which have no password, give way to one that has one. It has no
# character that SQL would read as anything else.
ACCOUNTS = """\
DELETE FROM mysql.global_priv WHERE User IN ('root', '');
DELETE FROM mysql.proxies_priv;
FLUSH PRIVILEGES;
CREATE USER '{admin}'@'{host}' IDENTIFIED BY '{password}' REQUIRE SSL;
GRANT ALL PRIVILEGES ON *.* TO '{admin}'@'{host}' WITH GRANT OPTION;
"""


class MariaDB(Engine):
    name = "mariadb"
    title = "MariaDB"
    executables = frozenset({"mariadbd"})

    def locate(self, settings: Settings) -> Programs:
        tree = debian.tree(settings)
        return Programs(tree.root / "usr", tree.tools, tree.environment)

    def install(self, settings: Settings, user: User, progress: Progress) -> None:
        debian.ensure(settings, PROGRAMS, user, progress)

    def initialise(self, server: Server, data: Path) -> None:
        share = server.programs.folder / "share" / "mysql"
        tables = [(share / name).read_text(encoding="utf-8") for name in SYSTEM_TABLES]
        accounts = ACCOUNTS.format(admin=ADMIN, host=ports.LOOPBACK, password=server.password())
        _configure(server, data)
        done = server.run(
            [*_program(server), "--bootstrap", "--enforce-storage-engine=", "--log-warnings=0"],
            text="".join([BEFORE_SYSTEM_TABLES, *tables, accounts]),
        )
        if done.returncode:
            raise LabError(f"MariaDB's first tables failed:\n{tail(done.stderr or done.stdout)}")

    def configure(self, server: Server) -> None:
        _configure(server, server.data)

    def command(self, server: Server) -> Command:
        return Command(_program(server))

    def answers(self, server: Server) -> bool:
        try:
            done = server.run(
                [
                    server.programs.folder / "bin" / "mariadb",
                    "--no-defaults",
                    "--protocol=tcp",
                    f"--host={ports.LOOPBACK}",
                    f"--port={server.port}",
                    f"--user={ADMIN}",
                    f"--ssl-ca={server.tls / 'ca.crt'}",
                    "--ssl-verify-server-cert",
                    f"--connect-timeout={ANSWER_TIMEOUT_S}",
                    "--execute=SELECT 1",
                ],
                timeout_s=ANSWER_TIMEOUT_S,
                MYSQL_PWD=server.password(),
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


ENGINE = MariaDB()


def _program(server: Server) -> list[str | Path]:
    program = server.programs.folder / "sbin" / "mariadbd"
    return [program, f"--defaults-file={server.state / 'my.cnf'}"]


def _configure(server: Server, data: Path) -> None:
    # Its own: a MariaDB that starts removes every temporary table it finds in this folder.
    temporary = server.state / "tmp"
    temporary.mkdir(mode=0o700, exist_ok=True)
    server.user.give(temporary)
    server.write(server.state / "my.cnf", _configuration(server, data, temporary))


def _configuration(server: Server, data: Path, temporary: Path) -> str:
    share = server.programs.folder / "share" / "mysql"
    return f"""\
[mariadbd]
basedir = "{server.programs.folder}"
datadir = "{data}"
tmpdir = "{temporary}"
lc-messages-dir = "{share}"
character-sets-dir = "{share / "charsets"}"
# Relative to datadir: a socket's path may not be long.
socket = mariadb.sock
pid-file = mariadb.pid
bind-address = {ports.LOOPBACK}
port = {server.port}
skip-name-resolve
ssl-cert = "{server.tls / "server.crt"}"
ssl-key = "{server.tls / "server.key"}"
tls-version = TLSv1.2,TLSv1.3
require-secure-transport = ON
character-set-server = utf8mb4
collation-server = utf8mb4_unicode_ci
default-time-zone = "+00:00"
innodb-buffer-pool-size = 64M
innodb-log-file-size = 32M
max-connections = 200
performance-schema = OFF
local-infile = OFF
# Its log is archived, and what was fetched is purged; what nobody comes for is gone after two days.
log-bin = binlog
server-id = 1
binlog-format = ROW
max-binlog-size = 64M
binlog-expire-logs-seconds = 172800
# Departments make functions and triggers; a log of rows has nothing to fear of them.
log-bin-trust-function-creators = ON
"""
