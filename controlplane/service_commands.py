"""`controlplane services ...`: versions in use, and upgrades from one to another."""

from __future__ import annotations

import getpass
from collections.abc import Iterable

import click
from rich.console import Console
from rich.table import Table

from controlplane import messages
from controlplane.audit import Actor
from controlplane.command_line import built, says_errors
from controlplane.errors import Fault
from controlplane.reports.upgrades import list_campaigns
from controlplane.reports.versions import versions_in_use
from controlplane.upgrade_plans import InstancePreview, Plan, Preview


@click.group()
def services() -> None:
    """The services of the catalogue, and which versions of them are in use."""


@services.command()
@says_errors
def versions() -> None:
    """How many resources stay on which version: `*` marks the one that is offered now, `!` one that
    the catalogue keeps no more (it is treated as the next newer one)."""
    control_plane = built()
    with control_plane.db.read() as session:
        in_use = versions_in_use(session)
    for code, version, number in in_use:
        catalogue = control_plane.catalogue
        is_kept = version in {service.version for service in catalogue.versions(code)}
        is_offered = code in catalogue and catalogue[code].version == version
        mark = "*" if is_offered else " " if is_kept else "!"
        click.echo(f"{mark} {code} {version}: {number}")


@services.command()
@click.argument("service")
@click.option("--from", "before", required=True, help="The version that instances stay on.")
@click.option("--to", "after", required=True, help="The version they get.")
@click.option("--at-once", default=1, show_default=True, help="How many at the same time.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    help="Who goes first; again for who goes next: department:CODE, zone:ZONE, plan:PLAN, or "
    "numbers of resources with commas between. What is in no group goes last.",
)
@click.option("--any-time", is_flag=True, help="Do not wait for the maintenance window.")
@click.option("--yes", is_flag=True, help="Start without asking.")
@says_errors
def upgrade(
    service: str,
    before: str,
    after: str,
    at_once: int,
    groups: tuple[str, ...],
    any_time: bool,
    yes: bool,
) -> None:
    """Show what an upgrade of SERVICE would change on each instance, ask, and start it.

    The running control plane carries it out. It stops at the first failure, and that instance goes
    back to what it was.
    """
    upgrading = built().upgrading
    plan = Plan(service, before, after, at_once, groups, any_time)
    preview = upgrading.preview(operator(), plan)
    _show(preview)
    number_of = sum(not each.upgraded.faults for each in preview.instances)
    if not yes and number_of and not preview.shortages:
        click.confirm(f"upgrade {number_of} instances, {at_once} at a time?", abort=True)
    click.echo(f"started {upgrading.start(operator(), plan)}")


@services.command()
@says_errors
def upgrades() -> None:
    """Upgrades, the newest first, with how far they are."""
    with built().db.read() as session:
        for row in list_campaigns(session).rows:
            line = f"{row.number} {row.service} {row.from_version} → {row.to_version}"
            click.echo(f"{line}: {row.state}, {row.settled} of {row.total}  {row.reason}".rstrip())


@services.command()
@click.argument("number")
@says_errors
def stop(number: str) -> None:
    """Let no further instance of upgrade NUMBER begin; `resume` goes on."""
    built().upgrading.stop(operator(), number)
    click.echo(f"{number} stopped")


@services.command()
@click.argument("number")
@says_errors
def resume(number: str) -> None:
    """Go on with upgrade NUMBER; what failed is tried again."""
    built().upgrading.resume(operator(), number)
    click.echo(f"{number} goes on")


@services.command()
@click.argument("number")
@says_errors
def cancel(number: str) -> None:
    """End upgrade NUMBER; what is upgraded stays so, what was held for the rest is given back."""
    built().upgrading.cancel(operator(), number)
    click.echo(f"{number} cancelled")


def operator() -> Actor:
    """Who is at the machine, for the audit."""
    return Actor(None, f"operator {getpass.getuser()}"[:80])


def _show(preview: Preview) -> None:
    table = Table("group", "instance", "department", "capacity", "¥ a month", "restart", "playbook")
    for each in preview.instances:
        table.add_row(*_row(each))
    Console(highlight=False, soft_wrap=False, width=None).print(table)
    click.echo(f"maintenance window: {preview.window or 'any time'}")
    for text in _sentences(preview.shortages):
        click.echo(f"does not fit: {text}")


def _row(each: InstancePreview) -> tuple[str, ...]:
    row, seen = each.resource, each.upgraded
    first = (str(each.group), f"{row.number} {row.name}", row.department.name_en)
    if seen.faults:
        return (*first, "not upgraded: " + "; ".join(_sentences(seen.faults)), "", "", "")
    return (*first, _changes(row.capacity, seen.capacity), _price(each), *_effect(each))


def _changes(before: dict[str, int], after: dict[str, int]) -> str:
    changed = [
        f"{d} {before.get(d, 0)} → {after.get(d, 0)}"
        for d in sorted({*before, *after})
        if before.get(d, 0) != after.get(d, 0)
    ]
    return "\n".join(changed) or "the same"


def _price(each: InstancePreview) -> str:
    before, after = (f"{m / 1e6:,.2f}" for m in (each.monthly_before, each.monthly_after))
    return before if before == after else f"{before} → {after}"


def _effect(each: InstancePreview) -> tuple[str, str]:
    return "yes" if each.upgraded.restarts else "no", each.upgraded.playbook


def _sentences(faults: Iterable[Fault]) -> list[str]:
    return [messages.text_of_fault(fault, "en") for fault in faults]
