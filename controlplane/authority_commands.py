"""`controlplane ca ...`: the city's certificate authority, made, shown, rotated."""

from __future__ import annotations

import click
from cryptography.hazmat.primitives import hashes

from controlplane.certificate_jobs import authority_of
from controlplane.certificates.authority import ROOT
from controlplane.clock import utc_now
from controlplane.command_line import says_errors, settings_or_exit
from controlplane.config import Settings


@click.group()
def ca() -> None:
    """The city's certificate authority: made once, shown, its issuing authority changed."""


@ca.command("init")
@click.option("--name", default="E-Government", help="The organisation in its certificates.")
@says_errors
def ca_init(name: str) -> None:
    """Make a root and an issuing authority. Save the folder apart, and take root.key away from
    this machine: it is needed again only for `ca rotate` and `ca sign-root-list`."""
    settings = settings_or_exit()
    authority_of(settings).create(name, utc_now())
    _say_authority(settings)


@ca.command("show")
@says_errors
def ca_show() -> None:
    """Its certificates with their ends and fingerprints, which keys are here, its lists."""
    _say_authority(settings_or_exit())


@ca.command("rotate")
@says_errors
def ca_rotate() -> None:
    """A new issuing authority, which signs from now on; needs root.key. What those before it signed
    stays valid, and their lists are still signed."""
    settings = settings_or_exit()
    click.echo(f"{authority_of(settings).add_issuing(utc_now())} signs from now on")


@ca.command("sign-root-list")
@says_errors
def ca_sign_root_list() -> None:
    """Sign the root's own revocation list anew, for 400 days; needs root.key."""
    authority = authority_of(settings_or_exit())
    authority.sign_root_list(utc_now())
    click.echo(f"the root's list is valid until {authority.root_list_ends:%Y-%m-%d}")


def _say_authority(settings: Settings) -> None:
    authority = authority_of(settings)
    for label in (ROOT, *authority.issuing()):
        certificate = authority.certificate(label)
        key = "its key is here" if authority.has_key(label) else "its key is not here"
        signs = ", signs now" if label == authority.current else ""
        click.echo(f"{label}: {certificate.subject.rfc4514_string()}")
        click.echo(f"  until {certificate.not_valid_after_utc:%Y-%m-%d}, {key}{signs}")
        click.echo(f"  sha256 {certificate.fingerprint(hashes.SHA256()).hex(':')}")
    click.echo(f"lists and issuers: {authority.base_url}/pki/")
    click.echo(f"the root's list is valid until {authority.root_list_ends:%Y-%m-%d}")
