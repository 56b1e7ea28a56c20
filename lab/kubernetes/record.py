"""What was decided when a state was made and must not change under it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from lab.errors import LabError
from lab.kubernetes.paths import Paths
from lab.settings import Settings
from lab.unprivileged import User


@dataclass(frozen=True)
class Record:
    """The facts of one state; `pods` is `none` or `real`, `uid` the control plane's user."""

    pods: str
    reason: str
    uid: int
    port_offset: int
    ranges: dict[str, str]


def new(settings: Settings, user: User, pods: str, reason: str, port_offset: int) -> Record:
    """Decides a fresh state."""
    return Record(pods, reason, _uid(user), port_offset, _ranges(settings))


def read(paths: Paths) -> Record | None:
    """The record of the state, or None where nothing was ever started.

    Raises LabError if the state belongs to another user or to another version of the lab.
    """
    try:
        return Record(**json.loads(paths.record.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise LabError(
            f"{paths.record} was written by another version of the lab: "
            "run `python -m lab.kubernetes clean`, then start again"
        ) from error
    except PermissionError as error:
        raise LabError(
            f"{paths.state} belongs to another user: run this as the user who started the lab, "
            "or set LAB_HOME to a folder of your own"
        ) from error


def write(paths: Paths, record: Record) -> None:
    """Keeps `record`, whole or not at all."""
    draft = paths.record.with_suffix(".new")
    draft.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    draft.replace(paths.record)


def refuse_another(known: Record, settings: Settings, user: User, port_offset: int) -> None:
    """Raises LabError where the settings now ask for another cluster than the state holds."""
    facts = {
        "pods": (known.pods, known.pods if settings.kubernetes.pods == "auto" else
                 settings.kubernetes.pods),
        "user": (known.uid, _uid(user)),
        "block of ports": (known.port_offset, port_offset),
        "address ranges": (known.ranges, _ranges(settings)),
    }  # fmt: skip
    for name, (made_with, wanted) in facts.items():
        if made_with != wanted:
            raise LabError(
                f"this state was made with {name} {made_with}, not {wanted}: start it as before, "
                "or run `python -m lab.kubernetes reset` first"
            )


def _uid(user: User) -> int:
    return os.geteuid() if user.uid is None else user.uid


def _ranges(settings: Settings) -> dict[str, str]:
    networks = settings.kubernetes.ranges.networks()
    return {name: str(network) for name, network in networks.items()}
