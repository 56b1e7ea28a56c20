"""What every command of `controlplane` shares: settings, and errors as sentences."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import sqlalchemy as sa
from pydantic import ValidationError
from rich.console import Console

from controlplane import messages
from controlplane.app import ControlPlane, build
from controlplane.config import Settings
from controlplane.errors import DomainError

P = ParamSpec("P")
R = TypeVar("R")

console = Console(stderr=True, highlight=False)


def settings_or_exit() -> Settings:
    """The settings, or every wrong environment variable named at once."""
    try:
        return Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = "_".join(str(part) for part in fault["loc"]).upper()
            console.print(f"CONTROLPLANE_{name}: {fault['msg']}", style="red", markup=False)
        sys.exit(2)


def says_errors(function: Callable[P, R]) -> Callable[P, R]:
    """A domain error, or the database's, is a sentence and exit status 1, never a traceback."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except DomainError as error:
            console.print(messages.text_of_error(error, "en"), style="red", markup=False)
            for fault in error.faults:
                text = messages.text_of_fault(fault, "en")
                console.print(
                    f"  {fault.field}: {text}" if fault.field else f"  {text}", markup=False
                )
            sys.exit(1)
        except sa.exc.DBAPIError as error:
            reason = str(error.orig).strip().splitlines()[0]
            console.print(
                f"the database does not answer as it should: {reason}\n"
                "`controlplane upgrade-schema` makes its tables or brings them up to date",
                style="red",
                markup=False,
                soft_wrap=True,
            )
            sys.exit(1)

    return wrapped


def built() -> ControlPlane:
    return build(settings_or_exit())
