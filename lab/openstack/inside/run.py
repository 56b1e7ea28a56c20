"""Runs one service: `python -m lab.openstack.inside.run SERVICE ETC_FOLDER READY_FILE SOCKET_FD`.

All of a project's workers are threads of this process, so that oslo.messaging's in-memory
transport reaches them.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.openstack.inside import facts
from lab.openstack.inside.facts import Facts

MAX_REQUEST_BYTES = 64 << 30  # an image is uploaded in one request


def _keystone(known: Facts) -> Callable[..., Any]:
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = _folder(known, "keystone")
    return _wsgi("keystone.wsgi.api")


def _placement(known: Facts) -> Callable[..., Any]:
    os.environ["OS_PLACEMENT_CONFIG_DIR"] = _folder(known, "placement")
    return _wsgi("placement.wsgi.api")


def _glance(known: Facts) -> Callable[..., Any]:
    os.environ["OS_GLANCE_CONFIG_DIR"] = _folder(known, "glance")
    return _wsgi("glance.wsgi.api")


def _nova(known: Facts) -> Callable[..., Any]:
    os.environ["OS_NOVA_CONFIG_DIR"] = _folder(known, "nova")
    from lab.openstack.inside import nova_service

    return nova_service.application(known)


def _cinder(known: Facts) -> Callable[..., Any]:
    from lab.openstack.inside import cinder_service

    return cinder_service.application(known)


def _neutron(known: Facts) -> Callable[..., Any]:
    os.environ["OS_NEUTRON_CONFIG_DIR"] = _folder(known, "neutron")
    os.environ["OS_NEUTRON_CONFIG_FILES"] = "neutron.conf"
    os.environ["ASGI_WORKERS"] = "1"
    if known.real:
        from lab.openstack.dataplane import hooks

        hooks.prepare_neutron()
    return _wsgi("neutron.wsgi.api")


APPLICATIONS = {
    "keystone": _keystone,
    "placement": _placement,
    "glance": _glance,
    "nova": _nova,
    "cinder": _cinder,
    "neutron": _neutron,
}


def _folder(known: Facts, service: str) -> str:
    return str(Path(known.config_files[service]).parent)


def _wsgi(module: str) -> Callable[..., Any]:
    return importlib.import_module(module).application  # type: ignore[no-any-return]


def serve(service: str, etc: Path, ready: Path, socket_fd: int) -> None:
    """Serves until SIGTERM."""
    known = facts.read(etc)
    sys.argv = [f"lab-{service}"]  # the projects parse it
    if service == "swift":
        from lab.openstack.inside import object_server

        object_server.serve(known, ready, socket_fd)
        return
    import waitress

    from lab.openstack.inside import sqlite_writers  # noqa: F401  # patches SQLAlchemy

    application = APPLICATIONS[service](known)
    server = waitress.create_server(
        application,
        sockets=[socket.socket(fileno=socket_fd)],
        threads=known.http_threads,
        max_request_body_size=MAX_REQUEST_BYTES,
        channel_timeout=600,
    )
    # Worker threads never end by themselves, and every change is committed by then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    ready.write_text(f"{os.getpid()}\n", encoding="ascii")
    server.run()


def main() -> None:
    service, etc, ready, socket_fd = sys.argv[1:]
    try:
        serve(service, Path(etc), Path(ready), int(socket_fd))
    except BaseException:  # threads would keep a half-started process alive
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
