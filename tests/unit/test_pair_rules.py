"""A machine and what was ordered to run on it: what follows from one for the other."""

from __future__ import annotations

import uuid

import pytest

from controlplane.provisioning.pairs import Next, Part, follows, machine_id_of
from controlplane.provisioning.rules import JobState

WELL, BADLY, CANCELLED = JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED


@pytest.mark.parametrize(
    ("part", "kind", "state", "expected"),
    [
        (Part.MACHINE, "create", WELL, Next.BUILD_TENANT),
        (Part.MACHINE, "create", BADLY, Next.GIVE_UP_BOTH),
        (Part.MACHINE, "create", CANCELLED, Next.GIVE_UP_BOTH),
        (Part.TENANT, "create", WELL, Next.DELIVER_BOTH),
        (Part.TENANT, "create", BADLY, Next.GIVE_UP_BOTH),
        (Part.TENANT, "create", CANCELLED, Next.GIVE_UP_BOTH),
        (Part.TENANT, "retire", WELL, Next.DESTROY_MACHINE),
        (Part.TENANT, "retire", BADLY, Next.NOTHING),
        (Part.MACHINE, "retire", WELL, Next.NOTHING),
        (Part.TENANT, "operate", BADLY, Next.NOTHING),
        (Part.MACHINE, "change", BADLY, Next.NOTHING),
        (Part.ALONE, "create", WELL, Next.NOTHING),
        (Part.ALONE, "create", BADLY, Next.NOTHING),
        (Part.ALONE, "retire", WELL, Next.NOTHING),
    ],
)
def test_what_follows(part: Part, kind: str, state: JobState, expected: Next) -> None:
    assert follows(part, kind, state) is expected


def test_a_machines_id_is_known_before_it_is_there_and_is_nobody_elses() -> None:
    mine = str(uuid.UUID(int=1))
    assert machine_id_of(mine) == machine_id_of(mine)
    assert len({mine, machine_id_of(mine), machine_id_of(machine_id_of(mine))}) == 3
    assert str(uuid.UUID(machine_id_of(mine))) == machine_id_of(mine)
