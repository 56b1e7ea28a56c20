"""Redis, the platform's shared one: TLS only; nobody but users of its access list, by name."""

from __future__ import annotations

import hashlib
import socket
import ssl
from pathlib import Path

from lab import ports
from lab.progress import Progress
from lab.services import debian
from lab.services.engine import ADMIN, ANSWER_TIMEOUT_S, Command, Engine, Programs, Server
from lab.settings import Settings
from lab.unprivileged import User

PROGRAMS = ("usr/bin/redis-server", "usr/bin/redis-cli")
MEMORY_MIB = 256


class Redis(Engine):
    name = "redis"
    title = "Redis"
    # Both are one program; which name it carries depends on the link it was started by.
    executables = frozenset({"redis-server", "redis-check-rdb"})

    def locate(self, settings: Settings) -> Programs:
        tree = debian.tree(settings)
        return Programs(tree.root / "usr" / "bin", tree.tools, tree.environment)

    def install(self, settings: Settings, user: User, progress: Progress) -> None:
        debian.ensure(settings, PROGRAMS, user, progress)

    def initialise(self, server: Server, data: Path) -> None:
        # Plays add users by ACL SETUSER and ACL SAVE, so it is written this once. It holds the
        # password's hash.
        digest = hashlib.sha256(server.password().encode()).hexdigest()
        server.write(
            data / "users.acl", f"user default off\nuser {ADMIN} on #{digest} ~* &* +@all\n"
        )

    def configure(self, server: Server) -> None:
        server.write(server.state / "redis.conf", _configuration(server))

    def command(self, server: Server) -> Command:
        return Command([server.programs.folder / "redis-server", server.state / "redis.conf"])

    def answers(self, server: Server) -> bool:
        context = ssl.create_default_context(cafile=str(server.tls / "ca.crt"))
        question = f"AUTH {ADMIN} {server.password()}\r\nPING\r\nQUIT\r\n".encode("ascii")
        answer = b""
        try:
            with (
                socket.create_connection((ports.LOOPBACK, server.port), ANSWER_TIMEOUT_S) as plain,
                context.wrap_socket(plain, server_hostname=ports.LOOPBACK) as connection,
            ):
                connection.sendall(question)
                while piece := connection.recv(4096):
                    answer += piece
        except OSError:
            return False
        return b"+PONG" in answer


ENGINE = Redis()


def _configuration(server: Server) -> str:
    return f"""\
bind {ports.LOOPBACK}
# The plain port is shut.
port 0
tls-port {server.port}
tls-cert-file "{server.tls / "server.crt"}"
tls-key-file "{server.tls / "server.key"}"
tls-auth-clients no
tls-protocols "TLSv1.2 TLSv1.3"
aclfile "{server.data / "users.acl"}"
dir "{server.data}"
appendonly yes
maxmemory {MEMORY_MIB}mb
daemonize no
"""
