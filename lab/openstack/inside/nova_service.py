"""nova in one process: API, conductor, scheduler and one compute host for each pool."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.openstack.inside.facts import Facts

_running: list[Any] = []


def application(known: Facts) -> Callable[..., Any]:
    """Starts the workers, then returns the WSGI application."""
    # First of all: it refuses native threads once anything has imported eventlet.
    wsgi = importlib.import_module("nova.wsgi.osapi_compute").application

    import os_vif
    from nova import context, objects, service
    from nova.compute import rpcapi as compute_rpc
    from nova.conductor import rpcapi as conductor_rpc
    from nova.objects import host_mapping
    from nova.scheduler import rpcapi as scheduler_rpc

    _name_driver(known)
    _count_every_pool_as_local({pool.compute_host for pool in known.pools})
    os_vif.initialize()
    objects.Service.enable_min_version_cache()
    _start(service, binary="nova-conductor", topic=conductor_rpc.RPC_TOPIC)
    _start(service, binary="nova-scheduler", topic=scheduler_rpc.RPC_TOPIC)
    for pool in known.pools:
        _start(
            service,
            host=pool.compute_host,
            binary="nova-compute",
            topic=compute_rpc.RPC_TOPIC,
            topic_alt=compute_rpc.RPC_TOPIC_ALT,
        )
    # A compute host that is in no cell gets no server; nova-manage does this on a real cloud.
    host_mapping.discover_hosts(context.get_admin_context())
    for worker in _running:
        # The first heartbeat comes after 10 s, and until then a worker counts as down.
        worker.servicegroup_api._driver._report_state(worker)
    return wsgi  # type: ignore[no-any-return]


def _name_driver(known: Facts) -> None:
    """nova loads drivers from below `nova.virt` only, so ours get a name there."""
    if known.real:
        from lab.openstack.dataplane import hooks

        hooks.prepare_nova()
        return
    from nova.conf import CONF

    from lab.openstack.inside import recorded_guests

    sys.modules["nova.virt.lab_recorded"] = recorded_guests
    # nova-compute refuses to start again where it finds no node identity. Our nodes get theirs
    # from their names, so this file only has to exist.
    identity = Path(CONF.state_path) / "compute_id"
    if not identity.exists():
        identity.write_text(recorded_guests.node_id("lab"), encoding="ascii")


def _count_every_pool_as_local(hosts: set[str]) -> None:
    """nova lets the driver detach a disk only if the server's host is CONF.host, and counts an
    image as used on the same condition. Here one process is several hosts, so there CONF.host
    equals each of them; the driver is the right one anyway, since the caller passes its own."""
    from nova.conf import CONF
    from nova.virt import block_device, imagecache

    class AnyOfOurs(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            return other in hosts

    class LocalConf:
        host = AnyOfOurs(CONF.host)

        def __getattr__(self, name: str) -> Any:
            return getattr(CONF, name)

    block_device.CONF = imagecache.CONF = LocalConf()


def _start(service: Any, **kind: Any) -> None:
    worker = service.Service.create(**kind)
    worker.start()
    _running.append(worker)
