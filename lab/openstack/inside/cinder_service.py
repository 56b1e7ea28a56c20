"""cinder in one process: API, scheduler and one volume service for each pool."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from lab.openstack.inside.facts import Facts

_running: list[Any] = []


def application(known: Facts) -> Callable[..., Any]:
    """Starts the workers, then returns the WSGI application."""
    os.environ["OS_CINDER_DISABLE_EVENTLET_PATCHING"] = "true"
    from cinder import monkey_patch

    monkey_patch.patch(backend="threading")
    # The WSGI module parses the command line as it is imported; the command of cinder-volume
    # registers options that must be known before.
    sys.argv += ["--config-file", known.config_files["cinder"]]
    import os_brick
    from cinder import service
    from cinder.cmd import volume as volume_command
    from cinder.common import constants
    from cinder.wsgi.api import application as wsgi
    from oslo_config import cfg

    os_brick.setup(cfg.CONF)
    _keep_heartbeats_apart(service)
    if known.real:
        from lab.openstack.dataplane import hooks

        hooks.prepare_cinder()
    for backend in cfg.CONF.enabled_backends:
        cfg.CONF.register_opt(volume_command.host_opt, group=backend)
        _start(
            service,
            host=f"{cfg.CONF.host}@{backend}",
            service_name=backend,
            binary=constants.VOLUME_BINARY,
            coordination=True,
        )
    _start(service, binary=constants.SCHEDULER_BINARY)
    for worker in _running:
        # The first heartbeat comes after 10 s, and until then a worker counts as down.
        worker.report_state()
    return wsgi  # type: ignore[no-any-return]


def _keep_heartbeats_apart(service: Any) -> None:
    """cinder keeps `service_id` on the class: of several services in one process, only the one
    started last would ever report. Each reports under its own id here."""
    lock = threading.Lock()
    report = service.Service.report_state

    def report_own_state(self: Any) -> None:
        with lock:
            service.Service.service_id = self.origin_service_id
            report(self)

    service.Service.report_state = report_own_state


def _start(service: Any, **kind: Any) -> None:
    worker = service.Service.create(**kind)
    worker.start()
    _running.append(worker)
