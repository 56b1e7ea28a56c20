"""How full the data volumes of databases on machines are, read over SSH."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import paramiko

from controlplane.access import Login
from controlplane.readings import DiskReading

log = logging.getLogger(__name__)

AT_ONCE = 8
CONNECT_SECONDS, ANSWER_SECONDS = 5, 10
#: Bytes of the file system that the module `machines.py` of the collection mounts there.
ASK = "df -P -B1 /srv/data"


class MachineDisks:
    def machine_disk_readings(self, logins: Mapping[str, Login]) -> dict[str, DiskReading]:
        """By the ids of `logins`. A machine that does not answer tells nothing, and holds up no
        other for longer than it takes to give it up."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="machine-disk") as pool:
            told = pool.map(self._reading, logins.values())
            return {one: reading for one, reading in zip(logins, told, strict=True) if reading}

    @staticmethod
    def _reading(login: Login) -> DiskReading | None:
        try:
            return reading_of(told_by(login, ASK))
        except (OSError, EOFError, ValueError, paramiko.SSHException) as error:
            log.warning("the disk of %s: %s", login.address, str(error) or type(error).__name__)
            return None


def told_by(login: Login, command: str) -> str:
    """What a command says on a machine, which shows the one host key that is accepted.

    Errors: OSError, EOFError, paramiko.SSHException; ValueError where the key cannot be read.
    """
    kind, text = login.host_key.split()[:2]
    with closing(paramiko.SSHClient()) as client:
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        expected = paramiko.PKey.from_type_string(kind, base64.b64decode(text))
        client.get_host_keys().add(login.address, kind, expected)
        client.connect(
            login.address,
            username=login.user,
            pkey=paramiko.Ed25519Key.from_private_key(io.StringIO(login.private_key)),
            allow_agent=False,
            look_for_keys=False,
            timeout=CONNECT_SECONDS,
            banner_timeout=ANSWER_SECONDS,
            auth_timeout=ANSWER_SECONDS,
        )
        _, out, _ = client.exec_command(command, timeout=ANSWER_SECONDS)
        return out.read().decode("utf-8", "replace")


def reading_of(told: str) -> DiskReading:
    """Of what `df` says: what is not free for the server is used. Errors: ValueError."""
    lines = told.strip().splitlines()
    words = lines[-1].split() if lines else []
    if len(words) != 6 or not words[1].isdecimal() or not int(words[1]):
        raise ValueError(f"its df says {told[-200:]!r}")
    size = int(words[1])
    return DiskReading(size - int(words[3]), False, size)
