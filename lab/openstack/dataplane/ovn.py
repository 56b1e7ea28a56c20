"""OVN and Open vSwitch inside the namespace: switching, routing and floating addresses of guests.

The userspace datapath (`datapath_type=netdev`) needs no kernel module, and unix sockets let the
services outside the namespace reach the databases inside it.
"""

from __future__ import annotations

import time
from pathlib import Path

from lab.openstack.dataplane import network
from lab.openstack.dataplane.commands import end_processes, inside, pid_from, succeeds
from lab.openstack.dataplane.layout import CHASSIS, PHYSICAL_NETWORK, Layout
from lab.tool import ToolError, run

_SCHEMAS = {
    "conf": "/usr/share/openvswitch/vswitch.ovsschema",
    "northbound": "/usr/share/ovn/ovn-nb.ovsschema",
    "southbound": "/usr/share/ovn/ovn-sb.ovsschema",
}
_LOGGING = ["-vconsole:off", "-vsyslog:off", "-vfile:info"]
_BRIDGE_WAIT_S = 10


def environment(layout: Layout) -> dict[str, str]:
    """Where the tools of OVS and OVN, also those libvirtd calls, find our daemons."""
    return {
        "OVS_RUNDIR": str(layout.ovs_folder),
        "OVN_RUNDIR": str(layout.ovn_folder),
        "OVN_NB_DB": f"unix:{layout.northbound_socket}",
        "OVN_SB_DB": f"unix:{layout.southbound_socket}",
    }


def _pid_files(layout: Layout) -> dict[str, Path]:
    """By daemon, in the order of their start."""
    ovs, ovn = layout.ovs_folder, layout.ovn_folder
    return {
        "ovsdb-server": ovs / "ovsdb-server.pid",
        "northbound": ovn / "ovnnb_db.pid",
        "southbound": ovn / "ovnsb_db.pid",
        "ovs-vswitchd": ovs / "ovs-vswitchd.pid",
        "ovn-northd": ovn / "ovn-northd.pid",
        "ovn-controller": ovn / "ovn-controller.pid",
    }


def running(layout: Layout) -> dict[str, bool]:
    """By daemon, whether it runs."""
    return {name: pid_from(layout, file) is not None for name, file in _pid_files(layout).items()}


def up(layout: Layout) -> None:
    """Start what does not run and give br-ex the external gateway's address.

    Raises ToolError naming the log when a daemon does not come up.
    """
    for folder in (layout.ovs_folder, layout.ovn_folder, layout.log_folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, schema in _SCHEMAS.items():
        if not _database(layout, name).exists():
            run(["ovsdb-tool", "create", _database(layout, name), schema])
    _start_databases(layout)
    _configure(layout)
    _start_daemons(layout)
    _external_bridge(layout)


def _database(layout: Layout, name: str) -> Path:
    return layout.folder / f"{name}.db"


def _start(layout: Layout, daemon: str, argv: list[str | Path]) -> None:
    pid_file = _pid_files(layout)[daemon]
    if pid_from(layout, pid_file) is not None:
        return
    log = layout.log_folder / f"{daemon}.log"
    options = [f"--pidfile={pid_file}", "--detach", f"--log-file={log}", *_LOGGING]
    try:
        run(inside(layout, [*argv, *options]), env=environment(layout))
    except ToolError as error:
        raise ToolError(f"{daemon} did not start (log: {log}): {error}") from error


def _start_databases(layout: Layout) -> None:
    ovn = layout.ovn_folder
    for daemon, database, socket, control in (
        ("ovsdb-server", "conf", layout.ovsdb_socket, None),
        ("northbound", "northbound", layout.northbound_socket, ovn / "ovnnb_db.ctl"),
        ("southbound", "southbound", layout.southbound_socket, ovn / "ovnsb_db.ctl"),
    ):
        argv: list[str | Path] = ["ovsdb-server", _database(layout, database)]
        argv.append(f"--remote=punix:{socket}")
        if control:  # the tools look for these names; two servers may not share the default one
            argv.append(f"--unixctl={control}")
        _start(layout, daemon, argv)


def _configure(layout: Layout) -> None:
    env = environment(layout)
    run(["ovn-nbctl", "--no-wait", "init"], env=env)
    run(["ovn-sbctl", "init"], env=env)
    run(["ovs-vsctl", "--no-wait", "init"], env=env)
    facts = {
        "system-id": CHASSIS,
        "hostname": CHASSIS,
        "ovn-remote": f"unix:{layout.southbound_socket}",
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": "127.0.0.1",
        "ovn-bridge": "br-int",
        "ovn-bridge-datapath-type": "netdev",
        "ovn-bridge-mappings": f"{PHYSICAL_NETWORK}:br-ex",
        "ovn-cms-options": "enable-chassis-as-gw",
    }
    words = [f"external_ids:{key}={value}" for key, value in facts.items()]
    run(["ovs-vsctl", "--no-wait", "set", "Open_vSwitch", ".", *words], env=env)
    for bridge, extra in (("br-int", ["fail-mode=secure"]), ("br-ex", [])):
        add = ["ovs-vsctl", "--no-wait", "--may-exist", "add-br", bridge]
        run([*add, "--", "set", "bridge", bridge, "datapath_type=netdev", *extra], env=env)


def _start_daemons(layout: Layout) -> None:
    ovn = layout.ovn_folder
    _start(layout, "ovs-vswitchd", ["ovs-vswitchd", f"unix:{layout.ovsdb_socket}"])
    _start(
        layout,
        "ovn-northd",
        [
            "ovn-northd",
            f"--ovnnb-db=unix:{layout.northbound_socket}",
            f"--ovnsb-db=unix:{layout.southbound_socket}",
            f"--unixctl={ovn / 'ovn-northd.ctl'}",
        ],
    )
    _start(layout, "ovn-controller", ["ovn-controller", f"unix:{layout.ovsdb_socket}"])


def _external_bridge(layout: Layout) -> None:
    deadline = time.monotonic() + _BRIDGE_WAIT_S
    while not succeeds(inside(layout, ["ip", "link", "show", "br-ex"])):
        if time.monotonic() > deadline:
            log = layout.log_folder / "ovs-vswitchd.log"
            raise ToolError(f"ovs-vswitchd made no br-ex in {_BRIDGE_WAIT_S} s (log: {log})")
        time.sleep(0.1)
    network.offload(layout, "br-ex")
    gateway = f"{layout.ranges.external_gateway}/{layout.ranges.external.prefixlen}"
    run(inside(layout, ["ip", "addr", "replace", gateway, "dev", "br-ex"]))
    run(inside(layout, ["ip", "link", "set", "br-ex", "up"]))


def down(layout: Layout) -> None:
    """End the daemons in the reverse order of their start."""
    for pid_file in reversed(_pid_files(layout).values()):
        if (pid := pid_from(layout, pid_file)) is not None:
            end_processes([pid])
