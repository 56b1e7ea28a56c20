"""`python -m lab.services start|stop|status|reset|clean [--json]`."""

from __future__ import annotations

import json
import os
import sys
import time

import click

from lab import settings
from lab.errors import LabError
from lab.progress import Progress
from lab.services import postgresql

as_json = click.option("--json", "json_", is_flag=True, help="Print the result as JSON.")


@click.group()
def main() -> None:
    """Servers beside the cloud: PostgreSQL."""
    os.umask(0o022)  # their user reads what the launcher installs; the state folder is 0700


@main.command()
@as_json
def start(json_: bool) -> None:
    """Start them; the first time also install and initialise them. Prints the URL."""
    started_s = time.monotonic()
    status = postgresql.start(settings.load(), Progress())
    click.echo(json.dumps(status.as_json(), indent=1) if json_ else status.url)
    if not json_:
        click.echo(f"ready after {time.monotonic() - started_s:.1f} s", err=True)


@main.command()
def stop() -> None:
    """Stop them; databases are kept."""
    stopped = postgresql.stop(settings.load(), Progress())
    click.echo(f"stopped: {'postgresql' if stopped else '-'}")


@main.command()
@as_json
def status(json_: bool) -> None:
    """Say what runs; exit status 0 if it does, 3 if not."""
    now = postgresql.status(settings.load())
    if json_:
        click.echo(json.dumps(now.as_json() if now else {"running": False}, indent=1))
    elif now is None or not now.running:
        click.echo("postgresql: stopped")
    else:
        click.echo(f"postgresql: running\n{now.url}\nlog: {now.log}")
    sys.exit(0 if now is not None and now.running else 3)


@main.command()
def reset() -> None:
    """Stop them and wipe their state: databases, passwords, logs."""
    postgresql.reset(settings.load(), Progress())


@main.command()
def clean() -> None:
    """Stop them and remove everything they have made, their programs too."""
    postgresql.clean(settings.load(), Progress())


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
