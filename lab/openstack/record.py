"""What was decided when a state was made and must not change under it: passwords, data plane."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass

from lab.errors import LabError
from lab.openstack.paths import Paths
from lab.settings import GENERATED, Settings
from lab.unprivileged import User


@dataclass(frozen=True)
class Record:
    """The facts of one state; kept readable for its owner only."""

    data_plane: str
    reason: str
    uid: int
    port_offset: int
    admin_password: str
    service_password: str
    metadata_secret: str

    def password(self, name: str) -> str:
        return str(getattr(self, f"{name}_password"))


def new(settings: Settings, user: User, data_plane: str, reason: str, port_offset: int) -> Record:
    """Decides a fresh state; makes the passwords that the settings leave to us."""

    def chosen(setting: str) -> str:
        return secrets.token_urlsafe(18) if setting == GENERATED else setting

    return Record(
        data_plane=data_plane,
        reason=reason,
        uid=os.geteuid() if user.uid is None else user.uid,
        port_offset=port_offset,
        admin_password=chosen(settings.passwords.admin),
        service_password=chosen(settings.passwords.service),
        metadata_secret=secrets.token_urlsafe(18),
    )


def read(paths: Paths) -> Record | None:
    """The record of the state, or None where nothing was initialised.

    Raises LabError if the state belongs to another user or to another version of the lab.
    """
    try:
        return Record(**json.loads(paths.record.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except TypeError as error:
        raise LabError(
            f"{paths.record} was written by another version of the lab: "
            "run `python -m lab.openstack clean`, then start again"
        ) from error
    except PermissionError as error:
        raise LabError(
            f"{paths.state} belongs to another user: run this as the user who started the lab, "
            "or set LAB_HOME to a folder of your own"
        ) from error


def data_plane(paths: Paths) -> str | None:
    """The data plane of the state, whatever version of the lab wrote it; None if there is none."""
    try:
        return str(json.loads(paths.record.read_text(encoding="utf-8"))["data_plane"])
    except FileNotFoundError:
        return None


def write(paths: Paths, record: Record) -> None:
    """Keeps `record`, readable for the caller only."""
    paths.record.touch(mode=0o600)
    paths.record.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
