"""`python -m lab.services start|stop|status|reset|clean|inventory [engine ...]`."""

from __future__ import annotations

import json
import os
import sys
import time

import click
import yaml
from rich.console import Console
from rich.table import Table

from lab import settings
from lab.command_line import as_json, run
from lab.progress import Progress
from lab.services import shared
from lab.services.endpoints import endpoints, inventory, write_inventory
from lab.services.engine import ADMIN

names = click.argument(
    "engines", nargs=-1, type=click.Choice([engine.name for engine in shared.ENGINES])
)


@click.group()
def main() -> None:
    """The platform's shared PostgreSQL, MariaDB, Redis and RabbitMQ: those named, or all."""
    os.umask(0o022)  # their user reads what the launcher installs; the state folders are 0700


@main.command()
@names
@as_json
def start(engines: tuple[str, ...], json_: bool) -> None:
    """Start them; the first time also install and initialise them."""
    started_s = time.monotonic()
    shared.start(shared.chosen(engines), settings.load(), Progress())
    write_inventory(settings.load())
    _print(engines, json_)
    if not json_:
        click.echo(f"ready after {time.monotonic() - started_s:.1f} s", err=True)


@main.command()
@names
@as_json
def stop(engines: tuple[str, ...], json_: bool) -> None:
    """Stop them; what they hold is kept."""
    ended = shared.stop(shared.chosen(engines), settings.load(), Progress())
    click.echo(json.dumps({"stopped": ended}) if json_ else f"stopped: {', '.join(ended) or '-'}")


@main.command()
@names
@as_json
def status(engines: tuple[str, ...], json_: bool) -> None:
    """Say what runs; exit status 0 if all of them do, 3 if not."""
    sys.exit(0 if _print(engines, json_) else 3)


@main.command()
@names
def reset(engines: tuple[str, ...]) -> None:
    """Stop them and wipe their state: data, passwords, logs."""
    shared.reset(shared.chosen(engines), settings.load(), Progress())
    write_inventory(settings.load())


@main.command()
def clean() -> None:
    """Stop all of them and remove everything they have made, their programs too."""
    shared.clean(settings.load(), Progress())


@main.command("inventory")
@as_json
def print_inventory(json_: bool) -> None:
    """Print those that were ever started as an Ansible inventory; passwords stay in their files."""
    found = inventory(endpoints(settings.load()))
    click.echo(json.dumps(found, indent=1) if json_ else yaml.safe_dump(found, sort_keys=False))


def _print(engines: tuple[str, ...], json_: bool) -> bool:
    """Prints the status of the engines; returns whether all of them run."""
    chosen = shared.chosen(engines)
    now = shared.status(chosen, settings.load())
    reached = {each.engine: each.as_json() for each in endpoints(settings.load())}
    runs = len(now) == len(chosen) and all(each.state == "running" for each in now)
    if json_:
        servers = [{**vars(each), "endpoint": reached[each.name]} for each in now]
        click.echo(json.dumps({"running": runs, "services": servers}, indent=1))
        return runs
    table = Table("service", "state", "pid", "MiB", "port", box=None)
    for engine in chosen:
        each = next((each for each in now if each.name == engine.name), None)
        if each is None:
            table.add_row(engine.name, "stopped", "", "", "")
        else:
            pid, mib = str(each.pid or ""), str(each.rss_mib or "")
            table.add_row(each.name, each.state, pid, mib, str(each.port))
    Console(highlight=False).print(table)
    for each in now:
        if each.fault:
            click.echo(each.fault)
    for each in now:
        click.echo(f"{each.name}: {ADMIN}, password in {reached[each.name]['admin_password_file']}")
    for ca_file in {each["ca_file"] for each in reached.values()}:
        click.echo(f"certificate authority: {ca_file}")
    return runs


if __name__ == "__main__":
    run(main)
