"""`python -m lab.kubernetes build|start|stop|status|reset|clean [--json]`.

The first start builds it, which takes some ten minutes; `build` does that and starts nothing.
"""

from __future__ import annotations

from lab import settings
from lab.command_line import Row, commands, run
from lab.kubernetes import cluster
from lab.progress import Progress


def _rows_inside(now: cluster.Status) -> list[Row]:
    """The programs of the node."""
    rows = []
    for daemon in now.node.get("daemons", ()):
        state = "running" if daemon["pid"] else "not running"
        again = f", died {daemon['deaths']} times" if daemon["deaths"] else ""
        pid, rss_mib = str(daemon["pid"] or ""), str(daemon["rss_mib"] or "")
        rows.append((f"  {daemon['name']}", f"{state}{again}", pid, rss_mib, ""))
    return rows


def _describe(now: cluster.Status) -> tuple[str, ...]:
    return (
        f"Kubernetes {now.version}",
        f"pods: {now.pods} ({now.reason})",
        f"memory: {now.rss_mib} MiB",
        f"kubeconfig: {now.kubeconfig}",
        f"kubectl: {now.kubectl}",
    )


def _build() -> None:
    """Make all that it needs, where it is missing; nothing is started."""
    cluster.build(settings.load(), Progress())


if __name__ == "__main__":
    group = commands(
        cluster,
        title="The embedded Kubernetes of this checkout; the first start builds it.",
        describe=_describe,
        rows_inside=_rows_inside,
    )
    group.command("build")(_build)
    run(group)
