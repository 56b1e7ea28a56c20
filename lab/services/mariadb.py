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

PROGRAMS = ("usr/sbin/mariadbd", "usr/bin/mariadb-install-db", "usr/bin/mariadb")

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
        usr = server.programs.folder
        accounts = server.state / "accounts.sql"
        password = server.password()
        server.write(accounts, ACCOUNTS.format(admin=ADMIN, host=ports.LOOPBACK, password=password))
        server.write(server.state / "my.cnf", _configuration(server, data))
        done = server.run(
            [
                "/bin/sh",
                usr / "bin" / "mariadb-install-db",
                f"--defaults-file={server.state / 'my.cnf'}",
                f"--basedir={usr}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--force",  # names of hosts are not asked
                f"--extra-file={accounts}",
            ]
        )
        accounts.unlink()
        if done.returncode:
            raise LabError(f"mariadb-install-db failed:\n{tail(done.stderr or done.stdout)}")

    def configure(self, server: Server) -> None:
        server.write(server.state / "my.cnf", _configuration(server, server.data))

    def command(self, server: Server) -> Command:
        programs = server.programs.folder
        return Command(
            [programs / "sbin" / "mariadbd", f"--defaults-file={server.state / 'my.cnf'}"]
        )

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


def _configuration(server: Server, data: Path) -> str:
    share = server.programs.folder / "share" / "mysql"
    return f"""\
[mariadbd]
basedir = "{server.programs.folder}"
datadir = "{data}"
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
"""
