"""`python -m lab.openstack start|stop|status|reset|clean [--json]`."""

from __future__ import annotations

import json
import os
import sys
import time

import click
from rich.console import Console
from rich.table import Table

from lab import settings
from lab.errors import LabError
from lab.openstack import cloud
from lab.progress import Progress

as_json = click.option("--json", "json_", is_flag=True, help="Print the result as JSON.")


@click.group()
def main() -> None:
    """The embedded OpenStack of this checkout."""
    os.umask(0o022)  # the services' user reads what the launcher writes; the state folder is 0700


@main.command()
@as_json
def start(json_: bool) -> None:
    """Start it; the first time also install and initialise it."""
    started_s = time.monotonic()
    status = cloud.start(settings.load(), Progress())
    _print(status, json_)
    if not json_:
        click.echo(f"ready after {time.monotonic() - started_s:.1f} s")


@main.command()
@as_json
def stop(json_: bool) -> None:
    """Stop it; servers and volumes are kept."""
    ended = cloud.stop(settings.load(), Progress())
    click.echo(json.dumps({"stopped": ended}) if json_ else f"stopped: {', '.join(ended) or '-'}")


@main.command()
@as_json
def status(json_: bool) -> None:
    """Say what runs; exit status 0 if it is ready, 3 if not."""
    now = cloud.status(settings.load())
    _print(now, json_)
    sys.exit(0 if now.ready else 3)


@main.command()
def reset() -> None:
    """Stop it and wipe its state: servers, volumes, users, logs."""
    cloud.reset(settings.load(), Progress())


@main.command()
def clean() -> None:
    """Stop it and remove everything it has made, its Python environment and caches too."""
    cloud.clean(settings.load(), Progress())


def _print(now: cloud.Status, json_: bool) -> None:
    if json_:
        click.echo(json.dumps(now.as_json(), indent=1))
        return
    table = Table("service", "state", "pid", "MiB", "endpoint", box=None)
    for service in now.services:
        table.add_row(
            service.name,
            service.state,
            str(service.pid or ""),
            str(service.rss_mib or ""),
            service.endpoint,
        )
    console = Console(highlight=False)
    console.print(table)
    for service in now.services:
        if service.fault:
            console.print(service.fault, markup=False, soft_wrap=True)
    behind = {"real": ": real machines", "none": ": no machine behind a server"}
    console.print(
        f"data plane: {now.data_plane}{behind.get(now.data_plane, '')} ({now.reason})",
        markup=False,
        soft_wrap=True,
    )
    console.print(f"memory: {now.rss_mib} MiB", markup=False)
    console.print(f"clouds.yaml: {now.clouds_yaml} (cloud `lab`)", markup=False, soft_wrap=True)


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
