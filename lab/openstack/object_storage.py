"""swift's configuration files, and whether this machine's file system can keep its objects."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from lab.openstack.config import Context, Options, ini, login
from lab.openstack.inside.object_server import BACK_ENDS
from lab.openstack.paths import Paths
from lab.ports import LOOPBACK

#: What swift keeps in an extended attribute of each object's file is at most about this long.
METADATA_BYTES = 3500
PROBED = "user.swift.metadata"
#: Roles whose bearers own their project's account; a department's runs have the last.
OWNERS = "admin, member"

PIPELINE = (
    "catch_errors",
    "gatekeeper",
    "healthcheck",
    "bulk",
    "tempurl",
    # Before s3api: what comes with a token is then no business of its own.
    "authtoken",
    "s3api",
    "s3token",
    "keystoneauth",
    "copy",
    "container_quotas",
    "account_quotas",
    "slo",
    "dlo",
    "proxy-server",
)
#: Filters of swift's own without an option.
PLAIN = ("catch_errors", "gatekeeper", "healthcheck", "bulk", "tempurl", "copy", "slo", "dlo")


def fault(folder: Path) -> str:
    """Why no object can be kept in `folder`; empty where it can."""
    try:
        os.setxattr(folder, PROBED, b"0" * METADATA_BYTES)
        os.removexattr(folder, PROBED)
    except OSError as error:
        return (
            f"the file system of {folder} keeps no extended attributes of {METADATA_BYTES} bytes "
            f"({error.strerror}): swift needs ext4 or xfs, or tmpfs of Linux 6.6; "
            "LAB_HOME puts the lab's state elsewhere"
        )
    return ""


def absence(paths: Paths) -> str:
    """Why the cloud that was started last has no object storage; empty where it has."""
    try:
        return paths.object_storage_fault.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def decide(paths: Paths) -> str:
    """Looks whether objects can be kept in the state, and remembers why not."""
    reason = fault(paths.data("swift"))
    if reason:
        paths.object_storage_fault.write_text(reason, encoding="utf-8")
    else:
        paths.object_storage_fault.unlink(missing_ok=True)
    return reason


def write(context: Context) -> None:
    """Writes swift.conf and one file each for the proxy and the three servers behind it."""
    folder = context.paths.etc / "swift"
    folder.mkdir(parents=True, exist_ok=True)
    files = {"swift.conf": _swift(context), "proxy-server.conf": _proxy(context)}
    files |= {f"{name}-server.conf": _back_end(context, name) for name in BACK_ENDS}
    for name, options in files.items():
        (folder / name).write_text(ini(options), encoding="utf-8")


def _swift(context: Context) -> Options:
    """What every part must know alike. The suffix says where an object lies: it stays as it is as
    long as the state does."""
    suffix = hashlib.sha256(f"swift {context.record.metadata_secret}".encode()).hexdigest()
    return {
        "swift-hash": {"swift_hash_path_suffix": suffix},
        # Below what ext4 has for the extended attributes of one file.
        "swift-constraints": {"max_meta_overall_size": 2048, "max_meta_value_length": 1024},
        "storage-policy:0": {"name": "standard", "default": True},
    }


def _common(context: Context, name: str) -> dict[str, object]:
    return {
        "bind_ip": LOOPBACK,
        "bind_port": context.ports["swift" if name == "proxy" else f"swift_{name}"],
        "swift_dir": context.paths.etc / "swift",
        "devices": context.paths.data("swift") / "devices",
        "mount_check": False,
        "workers": 0,
        "log_level": "WARNING",
        "lab_log": context.paths.oslo_log("swift"),
    }


def _back_end(context: Context, name: str) -> Options:
    return {
        "DEFAULT": _common(context, name),
        "pipeline:main": {"pipeline": f"{name}-server"},
        f"app:{name}-server": {"use": f"egg:swift#{name}"},
    }


def _proxy(context: Context) -> Options:
    keystone = context.endpoint("keystone")
    return {
        "DEFAULT": _common(context, "proxy"),
        "pipeline:main": {"pipeline": " ".join(PIPELINE)},
        "app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": True},
        **{f"filter:{name}": {"use": f"egg:swift#{name}"} for name in PLAIN},
        "filter:container_quotas": {"use": "egg:swift#container_quotas"},
        "filter:account_quotas": {"use": "egg:swift#account_quotas"},
        "filter:authtoken": {
            "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
            **login(context, "swift"),
            "www_authenticate_uri": keystone,
            "delay_auth_decision": True,
            "token_cache_time": 300,
        },
        "filter:s3api": {
            "use": "egg:swift#s3api",
            "location": context.settings.openstack.region,
            # Parts would lie in a second container, which the quota of the first does not bound.
            "allow_multipart_uploads": False,
        },
        "filter:s3token": {
            "use": "egg:swift#s3token",
            "auth_uri": keystone,
            **login(context, "swift"),
        },
        "filter:keystoneauth": {
            "use": "egg:swift#keystoneauth",
            "operator_roles": OWNERS,
            "reseller_admin_role": "admin",
            # By id alone: names may be given again to somebody else.
            "allow_names_in_acls": False,
        },
    }
