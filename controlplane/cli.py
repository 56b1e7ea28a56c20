"""`controlplane ...` for operators: schema, declared quotas, people, tokens, checks, serving."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from controlplane import __version__, audit, schema
from controlplane.admission.books import counter_differences
from controlplane.app import ControlPlane, build
from controlplane.applying import Change, apply_declared
from controlplane.authority_commands import ca
from controlplane.backups import service as backups
from controlplane.backups.store import BackupStore
from controlplane.catalogue.loader import load_catalogue, needed_chains
from controlplane.command_line import built, console, says_errors, settings_or_exit
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.people import PersonDeclared, add_people, load_people
from controlplane.quotas import load_quotas
from controlplane.reports.inventory import ansible_inventory
from controlplane.service_commands import services
from controlplane.tenancy.models import Person
from controlplane.tenancy.service import subject_of


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Government cloud control plane.

    Settings come from the environment: CONTROLPLANE_VAR_DIR, CONTROLPLANE_DATABASE_URL,
    CONTROLPLANE_CLOUDS_YAML and so on; see docs/operations.md.
    """


@main.command("upgrade-schema")
@says_errors
def upgrade_schema() -> None:
    """Create the database's tables, or bring them to the newest version."""
    schema.upgrade(built().db)
    click.echo(f"schema is at {schema.newest_revision()}")


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Apply without asking.")
@says_errors
def apply(folder: Path, yes: bool) -> None:
    """Apply departments, offices, pools, quotas, prices and approval chains from FOLDER.

    Prints the difference and asks. A problem in any file is named with its line, and then nothing
    is applied.
    """
    control_plane = built()
    declared = load_quotas(folder.resolve(), needed_chains(control_plane.catalogue.every_version))
    changes = _preview(control_plane, declared)
    for change in changes:
        click.echo(str(change))
    if not changes:
        click.echo("nothing to change")
        return
    if not yes:
        click.confirm(f"apply {len(changes)} changes?", abort=True)
    with control_plane.db.transaction() as session:
        done = apply_declared(session, control_plane.settings, declared, control_plane.clock())
    click.echo(f"applied {len(done)} changes")


class _RollBack(Exception):
    pass


def _preview(control_plane: ControlPlane, declared: Any) -> list[Change]:
    """The changes that applying would make: made, listed, and rolled back."""
    changes: list[Change] = []
    try:
        with control_plane.db.transaction() as session:
            changes = apply_declared(
                session, control_plane.settings, declared, control_plane.clock()
            )
            raise _RollBack
    except _RollBack:
        return changes


@main.command("add-people")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@says_errors
def add_people_command(file: Path) -> None:
    """Add people with departments, roles and first passwords from a YAML FILE."""
    control_plane = built()
    people: list[PersonDeclared] = load_people(file)
    with control_plane.db.transaction() as session:
        added = add_people(session, people, control_plane.clock())
    click.echo(f"added {added} people; {len(people) - added} were there")


@main.command("create-token")
@click.argument("login")
@click.argument("name")
@says_errors
def create_token(login: str, name: str) -> None:
    """Print a bearer token of LOGIN for the API, once; NAME says what it is for."""
    control_plane = built()
    with control_plane.db.read() as session:
        person_id = session.scalar(sa.select(Person.id).where(Person.login == login))
        if person_id is None:
            raise click.ClickException(f"there is no person {login}")
        subject = subject_of(session, person_id)
    click.echo(control_plane.accounts.create_token(subject, name))


@main.group()
def keys() -> None:
    """The keys that seal secrets: a new one, and the old ones forgotten.

    A change of keys is `rotate`, then, once every process has read the file again (at once) and
    the file is saved apart from the database's copies, `forget-old`.
    """


@keys.command()
@says_errors
def rotate() -> None:
    """Add a key and seal every secret anew with it; may be run again when it was ended half-way."""
    control_plane = built()
    keyring = Keyring(control_plane.settings.credential_keys)
    keyring.add_key()
    click.echo(f"sealed {_reseal_all(control_plane, keyring)} secrets anew; old keys still open")


@keys.command("forget-old")
@says_errors
def forget_old() -> None:
    """Remove every key but the newest, after sealing anew what an old one still seals."""
    control_plane = built()
    keyring = Keyring(control_plane.settings.credential_keys)
    resealed = _reseal_all(control_plane, keyring)
    click.echo(f"sealed {resealed} secrets anew; {keyring.forget_old_keys()} old keys forgotten")


def _reseal_all(control_plane: ControlPlane, keyring: Keyring) -> int:
    done = 0
    while True:
        with control_plane.db.transaction() as session:
            batch = credentials.reseal(session, keyring) + backups.reseal(session, keyring)
        done += batch
        if not batch:
            return done


@main.command()
@says_errors
def check() -> None:
    """Check services, quotas/, counters against claims, the audit chain, archives of backups."""
    settings = settings_or_exit()
    catalogue = load_catalogue(settings.services_dir)
    load_quotas(settings.quotas_dir, needed_chains(catalogue.every_version))
    click.echo(f"{len(catalogue)} services and {settings.quotas_dir.name}/ are well declared")
    control_plane = build(settings)
    with control_plane.db.read() as session:
        wrong = counter_differences(session)
        good, broken = audit.verify_chain(session)
        kept, unusable = backups.look_at_store(session, BackupStore(settings.backups_dir))
    for fault in unusable:
        console.print(fault, style="red", markup=False, soft_wrap=True)
    for difference in wrong:
        console.print(json.dumps(difference, ensure_ascii=False), style="red", markup=False)
    if broken is not None:
        console.print(f"the audit chain breaks at position {broken}", style="red")
    if wrong or broken is not None or unusable:
        sys.exit(1)
    click.echo(f"{kept} kept backups, every archive there and as long as it was")
    click.echo(f"counters equal the sum of claims; {good} audit events in an unbroken chain")


@main.command()
@click.option("--list", "list_all", is_flag=True, help="The whole inventory as JSON.")
@click.option("--host", help="Variables of one host (all are in --list already).")
@says_errors
def inventory(list_all: bool, host: str | None) -> None:
    """Ansible's dynamic inventory over the delivered resources."""
    if host is not None and not list_all:
        click.echo("{}")
        return
    with built().db.read() as session:
        click.echo(json.dumps(ansible_inventory(session), ensure_ascii=False, indent=2))


@main.command()
@says_errors
def serve() -> None:
    """Serve pages and API, deliver jobs, fire ticks; until SIGTERM."""
    from controlplane.serving import configure_logging
    from controlplane.serving import serve as serve_until_stopped

    settings = settings_or_exit()
    configure_logging(settings.log_format)
    control_plane = build(settings)
    schema.upgrade(control_plane.db)
    serve_until_stopped(control_plane)


main.add_command(services)
main.add_command(ca)


if __name__ == "__main__":
    main()
