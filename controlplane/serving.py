"""`controlplane serve`: pages and API by waitress, the worker and the ticks in the same process."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import structlog
import waitress

from controlplane.app import ControlPlane, build_clouds, create_app
from controlplane.errors import ConfigurationMissing
from controlplane.ticks import Ticks
from controlplane.worker import Worker, this_worker

log = logging.getLogger(__name__)


def configure_logging(log_format: str) -> None:
    """One line an event, to standard error; never a form's content, never a secret."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        # Plain: a prettier traceback prints local variables, and with them passwords and forms.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def single_server(var_dir: Path) -> IO[str]:
    """Holds the folder's lock while the process lives. Errors: ConfigurationMissing when taken."""
    var_dir.mkdir(parents=True, exist_ok=True)
    handle = (var_dir / "serve.lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        handle.seek(0)
        pid = handle.read().strip()
        raise ConfigurationMissing(
            what=f"a free {var_dir}: process {pid} serves from it already"
        ) from error
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def serve(control_plane: ControlPlane) -> None:
    """Serves until SIGTERM or SIGINT. Errors: ConfigurationMissing, OSError (port taken)."""
    settings = control_plane.settings
    lock = single_server(settings.var_dir)
    clouds: Mapping[str, Any] = build_clouds(settings)
    worker = Worker(control_plane.delivery, settings, clouds)
    ticks = Ticks(control_plane, clouds, this_worker().name)
    app = create_app(control_plane)
    server = waitress.create_server(
        app,
        host=settings.host,
        port=settings.port,
        threads=8,
        max_request_body_size=settings.request_body_max_kib * 1024 + 65536,
        ident="egov-cloud",
        clear_untrusted_proxy_headers=True,
    )
    if settings.delivery == "in_process":
        worker.start()
    ticks.start()
    signal.signal(signal.SIGTERM, _interrupt)
    log.info("serving on http://%s:%s", settings.host, settings.port)
    try:
        server.run()
    except KeyboardInterrupt:
        pass
    finally:
        log.info("stopping")
        ticks.stop()
        worker.stop()
        lock.close()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
