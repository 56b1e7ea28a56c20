"""swift in one process: the proxy, and the account, container and object servers behind it.

swift knows green threads alone, so nothing of it is served by waitress as the others are. The
launcher's socket is the proxy's; only the proxy asks those behind it.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
import traceback
from configparser import ConfigParser
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from lab import ports
from lab.openstack.inside.facts import Facts

BACK_ENDS = ("account", "container", "object")
DEVICE = "disk"
#: Few parts: they spread over one device, and each is a folder that is walked.
PART_POWER = 4
REPLICAS = 1
LOG_BYTES = 20 << 20
REQUESTS_AT_ONCE = 256
IDLE_S = 3600


def make_rings(known: Facts) -> None:
    """The rings of accounts, containers and objects over the one device, by swift's own builder."""
    from swift.common.ring import RingBuilder

    for name in BACK_ENDS:
        told = _options(known, name)
        (Path(told["devices"]) / DEVICE).mkdir(parents=True, exist_ok=True)
        builder = RingBuilder(PART_POWER, REPLICAS, min_part_hours=1)
        builder.add_dev(
            {
                "region": 1,
                "zone": 1,
                "ip": ports.LOOPBACK,
                "port": int(told["bind_port"]),
                "device": DEVICE,
                "weight": 1.0,
            }
        )
        builder.rebalance()
        builder.get_ring().save(str(_folder(known) / f"{name}.ring.gz"))


def serve(known: Facts, ready: Path, socket_fd: int) -> None:
    """Serves until SIGTERM."""
    _log_to(Path(_options(known, "proxy")["lab_log"]))
    # Of a file that paste reads, it complains of every option, also of those it takes.
    logging.getLogger("keystonemiddleware").setLevel(logging.ERROR)
    from swift.common import utils

    utils.monkey_patch()
    import eventlet
    from swift.common import wsgi

    utils.set_swift_dir(str(_folder(known)))
    listeners = {
        name: ports.listen(f"swift's {name} server", int(_options(known, name)["bind_port"]))
        for name in BACK_ENDS
    }
    listeners["proxy"] = socket.socket(fileno=socket_fd)
    applications = {
        name: wsgi.loadapp(str(_file(known, name)), global_conf={"log_name": f"{name}-server"})
        for name in listeners
    }
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    for name, listener in listeners.items():
        eventlet.spawn_n(_answer, listener, applications[name])
    ready.write_text(f"{os.getpid()}\n", encoding="ascii")
    while True:
        eventlet.sleep(IDLE_S)


def _answer(listener: socket.socket, application: Any) -> None:
    """One of the servers; without it the others are of no use."""
    import eventlet.wsgi
    from eventlet.greenio import GreenSocket
    from swift.common import constraints, wsgi
    from swift.common.http_protocol import SwiftHttpProtocol
    from swift.common.utils import NullLogger

    try:
        eventlet.wsgi.server(
            GreenSocket(listener),
            application,
            NullLogger(),
            custom_pool=wsgi.RestrictedGreenPool(size=REQUESTS_AT_ONCE),
            protocol=SwiftHttpProtocol,
            socket_timeout=60,
            # S3 clients look for "ETag", not for "Etag".
            capitalize_response_headers=False,
            url_length_limit=constraints.MAX_REQUEST_LINE,
        )
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _log_to(log: Path) -> None:
    """swift knows syslog alone, which may not be there; its handler is replaced by a file's."""
    from swift.common.utils import logs

    class FileHandler(RotatingFileHandler):
        def __init__(self, **_: Any) -> None:
            super().__init__(log, maxBytes=LOG_BYTES, backupCount=1)

        def createLock(self) -> None:  # noqa: N802  # logging's name
            self.lock = logs.NoopMutex()

        def format(self, record: logging.LogRecord) -> str:
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
            return f"{at} {os.getpid()} {record.levelname} {super().format(record)}"

    logs.ThreadSafeSysLogHandler = FileHandler


def _options(known: Facts, name: str) -> dict[str, str]:
    """What the server's file says of its port and its folder."""
    parser = ConfigParser()
    parser.read(_file(known, name), encoding="utf-8")
    return dict(parser.defaults())


def _file(known: Facts, name: str) -> Path:
    return _folder(known) / f"{name}-server.conf"


def _folder(known: Facts) -> Path:
    return Path(known.config_files["swift"]).parent
