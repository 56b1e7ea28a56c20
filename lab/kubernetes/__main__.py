"""`python -m lab.kubernetes start|stop|status|reset|clean [--json]`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import click
from rich.console import Console
from rich.table import Table

from lab import settings
from lab.errors import LabError
from lab.kubernetes import cluster
from lab.progress import Progress

as_json = click.option("--json", "json_", is_flag=True, help="Print the result as JSON.")


@click.group()
def main() -> None:
    """The embedded Kubernetes of this checkout."""
    # A supervisor's end is like one from the keyboard: what was half-started is ended too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    os.umask(0o022)  # the services' user reads what the launcher writes; secrets are 0600


@main.command()
@as_json
def start(json_: bool) -> None:
    """Start it; the first time also build it, which takes some ten minutes."""
    started_s = time.monotonic()
    status = cluster.start(settings.load(), Progress())
    _print(status, json_)
    if not json_:
        click.echo(f"ready after {time.monotonic() - started_s:.1f} s")


@main.command()
@as_json
def stop(json_: bool) -> None:
    """Stop it; objects and volumes are kept."""
    ended = cluster.stop(settings.load(), Progress())
    click.echo(json.dumps({"stopped": ended}) if json_ else f"stopped: {', '.join(ended) or '-'}")


@main.command()
@as_json
def status(json_: bool) -> None:
    """Say what runs; exit status 0 if it is ready, 3 if not."""
    now = cluster.status(settings.load())
    _print(now, json_)
    sys.exit(0 if now.ready else 3)


@main.command()
def reset() -> None:
    """Stop it and wipe its state: objects, volumes, certificates, logs."""
    cluster.reset(settings.load(), Progress())


@main.command()
def clean() -> None:
    """Stop it and remove everything it has made, its programs and images too."""
    cluster.clean(settings.load(), Progress())


def _print(now: cluster.Status, json_: bool) -> None:
    if json_:
        click.echo(json.dumps(now.as_json(), indent=1))
        return
    console = Console(highlight=False)
    table = Table("service", "state", "pid", "MiB", "endpoint", box=None)
    for service in now.services:
        table.add_row(
            service.name,
            service.state,
            str(service.pid or ""),
            str(service.rss_mib or ""),
            service.endpoint,
        )
    for daemon in now.node.get("daemons", ()):
        state = "running" if daemon["pid"] else "not running"
        again = f", died {daemon['deaths']} times" if daemon["deaths"] else ""
        pid, rss_mib = str(daemon["pid"] or ""), str(daemon["rss_mib"] or "")
        table.add_row(f"  {daemon['name']}", f"{state}{again}", pid, rss_mib, "")
    console.print(table)
    for service in now.services:
        if service.fault:
            console.print(service.fault, markup=False, soft_wrap=True)
    for line in (
        f"Kubernetes {now.version}",
        f"pods: {now.pods} ({now.reason})",
        f"memory: {now.rss_mib} MiB",
        f"kubeconfig: {now.kubeconfig}",
        f"kubectl: {now.kubectl}",
    ):
        console.print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
