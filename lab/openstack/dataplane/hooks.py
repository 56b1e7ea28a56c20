"""What the services do differently with real guests, called inside them before they start.

Imported in the services' own environment: everything of OpenStack is imported where it is used.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from lab.openstack.dataplane.layout import CHASSIS

# nova puts "nova.virt." before the name of a compute driver.
COMPUTE_DRIVER = "lab_libvirt.PoolLibvirtDriver"


# cinder loads a volume driver by its dotted name.
VOLUME_DRIVER = "lab.openstack.dataplane.file_volumes.FileVolumes"


def prepare_nova() -> None:
    """Make nova-compute drive libvirt, one host a pool, as the root it already runs as.

    nova must have read its configuration, and made no service yet.
    """
    from nova import privsep
    from nova.conf import CONF
    from os_brick import privileged as brick
    from vif_plug_ovs import privsep as vif

    _run_privileged_code_here(privsep.sys_admin_pctxt, brick.default, vif.vif_plug)
    # nova reads a guest's console by opening its terminal; a service without a terminal of its own
    # thereby gets that one as controlling terminal, and would end by SIGHUP when the guest does.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # nova asks blkid about disks it resizes, and blkid keeps a cache below /run unless told where.
    os.environ["BLKID_FILE"] = str(Path(CONF.state_path) / "blkid.tab")
    _keep_offloads_off()
    _attach_volumes_as_files()
    driver = importlib.import_module("lab.openstack.dataplane.nova_driver")
    sys.modules["nova.virt.lab_libvirt"] = driver
    # nova-compute refuses to start again where it finds no node identity. Our nodes get theirs
    # from their names, so this file only has to exist.
    identity = Path(CONF.state_path) / "compute_id"
    if not identity.exists():
        identity.write_text(driver.node_uuid("lab"), encoding="ascii")


def _run_privileged_code_here(*contexts: Any) -> None:
    """oslo.privsep would start its helpers by sudo, which a container often lacks."""
    for context in contexts:
        context.set_client_mode(False)


def _keep_offloads_off() -> None:
    """A guest behind OVS's userspace datapath must send finished checksums and plain segments."""
    from lxml import etree
    from nova.virt.libvirt import config

    interface = config.LibvirtConfigGuestInterface
    original = interface.format_dom

    def format_dom(self: Any) -> Any:
        device = original(self)
        driver = device.find("driver")
        if driver is None:
            driver = etree.SubElement(device, "driver")
        off = dict.fromkeys(("csum", "tso4", "tso6", "ecn", "ufo"), "off")
        etree.SubElement(driver, "host", gso="off", mrg_rxbuf="on", **off)
        etree.SubElement(driver, "guest", **off)
        return device

    interface.format_dom = format_dom


def _attach_volumes_as_files() -> None:
    """The volume service names a file of its own; nova's `local` driver expects a block device."""
    from nova.virt.libvirt import driver

    driver.VOLUME_DRIVERS["local"] = "lab.openstack.dataplane.nova_driver.FileVolumeDriver"


def prepare_neutron() -> None:
    """Bind every pool's ports to the one chassis, and keep the database out of OVN's thread."""
    _bind_to_the_chassis()
    _handle_every_event_here()


def _bind_to_the_chassis() -> None:
    """OVN knows this machine only, nova knows its pools."""
    from neutron.common.ovn import utils

    original = utils.determine_bind_host

    def determine_bind_host(southbound: Any, port: Any, port_context: Any = None) -> str:
        host = str(original(southbound, port, port_context=port_context) or "")
        return CHASSIS if host.startswith("compute-") else host

    utils.determine_bind_host = determine_bind_host


def _handle_every_event_here() -> None:
    """neutron shares OVN's events among its processes by a ring in the database, and reports itself
    alive there from the thread that talks to OVN. On SQLite, with one writer, that thread waits for
    a request that holds the write lock and itself waits for OVN: both fail after 30 s. This process
    is the only one, so it is the whole ring."""
    from neutron.plugins.ml2.drivers.ovn.mech_driver.ovsdb import ovsdb_monitor
    from oslo_utils import timeutils

    class SoleNode:
        def __init__(self, node_uuid: str) -> None:
            self.node_uuid = node_uuid

        def get_node(self, _key: str) -> tuple[str, Any]:
            """The node that handles an event, and when it was last alive."""
            return self.node_uuid, timeutils.utcnow()

    idl = ovsdb_monitor.OvnIdlDistributedLock
    original = idl.__init__

    def initialise(self: Any, *arguments: Any, **keywords: Any) -> None:
        original(self, *arguments, **keywords)
        self._hash_ring = SoleNode(self._node_uuid)

    idl.__init__ = initialise


def prepare_cinder() -> None:
    """Let cinder call qemu-img without a helper; its volume driver needs nothing else."""
    from cinder import privsep
    from os_brick import privileged as brick

    _run_privileged_code_here(privsep.sys_admin_pctxt, brick.default)
