"""RabbitMQ, the platform's shared one: AMQP and its management API by TLS only.

Two inner ports have no TLS and serve the machine's own tools alone: epmd, which tells where the
node listens, and the node's own, which asks for the cookie in the state folder.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import ssl
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from lab import ports
from lab.errors import LabError
from lab.progress import Progress
from lab.services import debian
from lab.services.engine import (
    ADMIN,
    ANSWER_TIMEOUT_S,
    PASSWORD_BYTES,
    Command,
    Engine,
    Programs,
    Server,
)
from lab.settings import Settings
from lab.unprivileged import User

ERLANG = Path("usr/lib/erlang")
RABBITMQ = Path("usr/lib/rabbitmq/lib")
PROGRAMS = (str(ERLANG / "bin" / "erl"),)
NODE = "rabbit@localhost"
MANAGEMENT, EPMD, DISTRIBUTION = (
    "rabbitmq_management",
    "rabbitmq_epmd",
    "rabbitmq_distribution",
)
WHICH_NODES = b"\x00\x01n"  # epmd's protocol: two bytes of length, then the question

# Idle schedulers sleep instead of turning round; what a broker needs beyond Erlang's own limits.
VIRTUAL_MACHINE = (
    *("+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"),
    *("+P", "1048576", "+t", "5000000", "+zdbbl", "128000"),
    *("+W", "w", "+B", "i"),
)


class RabbitMQ(Engine):
    name = "rabbitmq"
    title = "RabbitMQ"
    executables = frozenset(
        {"beam.smp", "epmd", "erl_child_setup", "inet_gethost", "memsup", "cpu_sup"}
    )
    other_ports = (MANAGEMENT, EPMD, DISTRIBUTION)

    def locate(self, settings: Settings) -> Programs:
        tree = debian.tree(settings)
        return Programs(tree.root, tree.tools, tree.environment)

    def install(self, settings: Settings, user: User, progress: Progress) -> None:
        tree = debian.ensure(settings, PROGRAMS, user, progress)
        _only(tree.root / RABBITMQ, "rabbitmq_server-*")

    def initialise(self, server: Server, data: Path) -> None:
        """The node makes its own database at its first start, to the end or again."""

    def configure(self, server: Server) -> None:
        server.write(server.state / "rabbitmq.conf", _configuration(server))
        server.write(server.state / "enabled_plugins", "[rabbitmq_management].\n")
        server.write(server.state / "definitions.json", json.dumps(_definitions(server.password())))
        cookie = server.state / ".erlang.cookie"
        if not cookie.exists():  # Erlang would make one from the time
            server.write(cookie, secrets.token_urlsafe(PASSWORD_BYTES))

    def companions(self, server: Server) -> Sequence[Command]:
        epmd = _erts(server) / "bin" / "epmd"
        return [Command([epmd], _epmd_environment(server))]

    def command(self, server: Server) -> Command:
        erlang = server.programs.folder / ERLANG
        home = _only(server.programs.folder / RABBITMQ, "rabbitmq_server-*")
        environment = {
            **_epmd_environment(server),
            "ROOTDIR": str(erlang),
            "BINDIR": str(_erts(server) / "bin"),
            "EMU": "beam",
            "PROGNAME": "erl",
            "ERL_LIBS": str(home / "plugins"),
            "ERL_MAX_ETS_TABLES": "50000",
            "ERL_MAX_PORTS": "65536",
            "SYS_PREFIX": "",
            "RABBITMQ_HOME": str(home),
            "RABBITMQ_BASE": str(server.state),
            "RABBITMQ_MNESIA_BASE": str(server.data),
            "RABBITMQ_LOG_BASE": str(server.state),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(server.state / "generated"),
            "RABBITMQ_CONFIG_FILE": str(server.state / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(server.state / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(server.state / "env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(server.state / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(server.state / "node.pid"),
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_LOG": "-color",
            "RABBITMQ_DIST_PORT": str(server.ports[DISTRIBUTION]),
        }
        arguments = [
            *(_erts(server) / "bin" / "erlexec", "-noinput", "-boot", "start_sasl"),
            *("-s", "rabbit", "boot", *VIRTUAL_MACHINE),
            *("-kernel", "inet_dist_use_interface", "{127,0,0,1}"),
            *("-kernel", "prevent_overlapping_partitions", "false"),
            *("-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false"),
        ]
        return Command(arguments, environment)

    def answers(self, server: Server) -> bool:
        try:
            return _is_registered(server) and _serves_amqp(server)
        except OSError:  # refused, reset, timed out, or not by TLS
            return False


ENGINE = RabbitMQ()


def _is_registered(server: Server) -> bool:
    """Whether epmd knows the node."""
    address = (ports.LOOPBACK, server.ports[EPMD])
    with socket.create_connection(address, ANSWER_TIMEOUT_S) as connection:
        connection.sendall(WHICH_NODES)
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    return f"at port {server.ports[DISTRIBUTION]}".encode() in answer


def _serves_amqp(server: Server) -> bool:
    """Whether the management API lets its administrator in and says that AMQP is served."""
    credentials = base64.b64encode(f"{ADMIN}:{server.password()}".encode()).decode()
    request = urllib.request.Request(
        f"https://{ports.LOOPBACK}:{server.ports[MANAGEMENT]}"
        f"/api/health/checks/port-listener/{server.port}",
        headers={"Authorization": f"Basic {credentials}"},
    )
    context = ssl.create_default_context(cafile=str(server.tls / "ca.crt"))
    # No proxy of the caller's environment lies between this machine and itself.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(request, timeout=ANSWER_TIMEOUT_S) as response:
            return bool(response.status == HTTPStatus.OK)
    except HTTPException:
        return False


def _definitions(password: str) -> dict[str, object]:
    """What every start sees to: the administrator, and the virtual host that clients expect."""
    salt = secrets.token_bytes(4)
    digest = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {
                "name": ADMIN,
                "password_hash": digest,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": ["administrator"],
            }
        ],
        "permissions": [{"user": ADMIN, "vhost": "/", **everything}],
    }


def _configuration(server: Server) -> str:
    certificate = f"""\
{{0}}.cacertfile = {server.tls / "ca.crt"}
{{0}}.certfile = {server.tls / "server.crt"}
{{0}}.keyfile = {server.tls / "server.key"}
{{0}}.versions.1 = tlsv1.3
{{0}}.versions.2 = tlsv1.2
"""
    return f"""\
listeners.tcp = none
listeners.ssl.1 = {ports.LOOPBACK}:{server.port}
{certificate.format("ssl_options")}
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
management.ssl.ip = {ports.LOOPBACK}
management.ssl.port = {server.ports[MANAGEMENT]}
{certificate.format("management.ssl")}
load_definitions = {server.state / "definitions.json"}
log.file = false
log.console = true
log.console.level = info
vm_memory_high_watermark.absolute = 512MiB
"""


def _epmd_environment(server: Server) -> dict[str, str]:
    return {"ERL_EPMD_PORT": str(server.ports[EPMD]), "ERL_EPMD_ADDRESS": ports.LOOPBACK}


def _erts(server: Server) -> Path:
    return _only(server.programs.folder / ERLANG, "erts-*")


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise LabError(
            f"{pattern} is not in {folder}: set services.debian_root in lab/settings.toml to "
            f'"{debian.UNPACKED}", or to the root of a system with rabbitmq-server installed'
        )
    return found[-1]
