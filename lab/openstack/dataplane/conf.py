"""What the services' configuration says differently when real guests stand behind it."""

from __future__ import annotations

from lab.openstack.config import Options
from lab.openstack.dataplane.hooks import COMPUTE_DRIVER, VOLUME_DRIVER
from lab.openstack.dataplane.layout import PHYSICAL_NETWORK, Layout
from lab.openstack.paths import Paths
from lab.settings import Settings


def options(settings: Settings, paths: Paths) -> dict[str, Options]:  # noqa: ARG001 - the launcher's signature
    """The options that differ from those without guests, by service."""
    layout = Layout.of(settings)
    return {
        "nova": nova_options(layout),
        "cinder": cinder_options(settings),
        "neutron": neutron_options(layout),
    }


def nova_options(layout: Layout) -> Options:
    """libvirt in place of nova's recorded guests."""
    return {
        "DEFAULT": {
            "compute_driver": COMPUTE_DRIVER,
            # OVN answers no metadata requests here, so every guest gets its facts on a disc.
            "force_config_drive": True,
            "mkisofs_cmd": "genisoimage",
            "flat_injected": False,
            # Or a resize turns the raw disk into qcow2 and goes on calling it raw.
            "use_cow_images": False,
            # neutron tells once that a port is wired, and on a busy machine it may go unheard: the
            # guest starts then all the same, asks for its address until it gets one, and whoever
            # ordered it looks whether it answers.
            "vif_plugging_timeout": 20,
            "vif_plugging_is_fatal": False,
            # The guest obeys its power button within 2 s; one that hangs is cut off.
            "shutdown_timeout": 10,
            # A stop of the lab shuts the guests down without telling nova, which therefore boots
            # them again at the next start.
            "resume_guests_state_on_host_boot": True,
        },
        "libvirt": {
            "connection_uri": layout.libvirt_uri,
            "virt_type": "kvm" if layout.kvm_file.exists() else "qemu",
            "cpu_mode": "none",
            "images_type": "raw",
            "inject_partition": -2,
            "hw_machine_type": "x86_64=pc",
        },
        "os_vif_ovs": {"ovsdb_connection": f"unix:{layout.ovsdb_socket}"},
    }


def cinder_options(settings: Settings) -> Options:
    """Volumes that hold bytes, in every pool."""
    return {pool.code: {"volume_driver": VOLUME_DRIVER} for pool in settings.openstack.pools}


def neutron_options(layout: Layout) -> Options:
    """ML2/OVN in place of the recorded network."""
    return {
        "DEFAULT": {"service_plugins": "ovn-router"},
        "ml2": {
            "type_drivers": "local,flat,vlan,geneve",
            "tenant_network_types": "geneve",
            "mechanism_drivers": "ovn",
            "extension_drivers": "port_security,dns",
        },
        "ml2_type_flat": {"flat_networks": PHYSICAL_NETWORK},
        "ml2_type_vlan": {"network_vlan_ranges": f"{PHYSICAL_NETWORK}:100:999"},
        "ml2_type_geneve": {"vni_ranges": "1:4000", "max_header_size": 38},
        "securitygroup": {"enable_security_group": True},
        "ovn": {
            "ovn_nb_connection": f"unix:{layout.northbound_socket}",
            "ovn_sb_connection": f"unix:{layout.southbound_socket}",
            "ovn_l3_scheduler": "leastloaded",
            "ovn_metadata_enabled": False,
            # libvirt makes the tap inside the namespace; nova would make it outside.
            "ovs_create_tap": False,
            "enable_distributed_floating_ip": True,
        },
        "ovs": {"ovsdb_connection": f"unix:{layout.ovsdb_socket}"},
    }
