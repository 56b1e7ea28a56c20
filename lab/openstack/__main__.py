"""`python -m lab.openstack start|stop|status|reset|clean [--json]`."""

from __future__ import annotations

from lab.command_line import commands, run
from lab.openstack import cloud

BEHIND = {"real": ": real machines", "none": ": no machine behind a server"}


def _describe(now: cloud.Status) -> tuple[str, ...]:
    return (
        f"data plane: {now.data_plane}{BEHIND.get(now.data_plane, '')} ({now.reason})",
        f"memory: {now.rss_mib} MiB",
        *(
            [f"no object storage: {now.without_object_storage}"]
            if now.without_object_storage
            else []
        ),
        f"clouds.yaml: {now.clouds_yaml} (cloud `lab`)",
    )


if __name__ == "__main__":
    run(commands(cloud, title="The embedded OpenStack of this checkout.", describe=_describe))
