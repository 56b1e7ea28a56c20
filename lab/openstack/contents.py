"""The first contents of the cloud, as an order for `inside/seed.py`."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from lab.openstack import object_storage
from lab.openstack.config import Context
from lab.openstack.planes import ImageFile


def order(context: Context, images: list[ImageFile]) -> dict[str, Any]:
    """Everything that must be there, by name; the seeding adds what is missing."""
    openstack, ranges = context.settings.openstack, context.settings.ranges
    return {
        "auth": {
            "auth_url": context.endpoint("keystone"),
            "username": "admin",
            "password": context.record.admin_password,
            "project_name": "admin",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        "region": openstack.region,
        # None where it does not stand on this machine.
        "object_storage": None
        if object_storage.absence(context.paths)
        else {"url": context.endpoint("swift"), "password": context.record.service_password},
        "volume_types": list(openstack.volume_types),
        "pools": [
            {"code": pool.code, "zone": pool.zone, "host": pool.compute_host}
            for pool in openstack.pools
        ],
        "flavor": {
            "name": openstack.flavor.name,
            "vcpus": openstack.flavor.vcpu,
            "ram": openstack.flavor.memory_mib,
            "disk": openstack.flavor.disk_gib,
        },
        "images": [
            {
                "name": image.name,
                "file": str(image.file),
                "disk_format": image.disk_format,
                "properties": dict(image.properties),
            }
            for image in images
        ],
        "external": {
            "name": openstack.external_network,
            "cidr": str(ranges.external),
            "gateway": str(ranges.external_gateway),
            "first": str(ranges.external_first),
            "last": str(ranges.external_last),
        },
    }


def fingerprint(order_: dict[str, Any]) -> str:
    """Changes when the order does; says nothing about the password in it."""
    return hashlib.sha256(json.dumps(order_, sort_keys=True).encode()).hexdigest()
