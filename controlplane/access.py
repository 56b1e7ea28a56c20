"""What passes between drivers and the rest: how one gets in, what stands there, what pods write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Access:
    """`files` by name, each written as JSON (which is YAML) into the run's own folder, `texts` as
    they are; `variables` names for each environment variable the file that it shall point to.
    `inventory` names what the cloud consists of, a file of the run's own where its path is
    relative; None where its APIs do."""

    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    inventory: Path | None = None
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Login:
    """How a run gets into a machine: only with `host_key`, which it printed on its console."""

    address: str
    user: str
    host_key: str
    private_key: str = field(repr=False)
    #: Of the authority that signed the certificate of the server on it.
    ca_certificate: str = ""


#: Whoever stands in for the machine on the way is refused: no other host key is ever accepted.
_SSH_OPTIONS = {
    "StrictHostKeyChecking": "yes",
    "UserKnownHostsFile": "{{ inventory_dir }}/known_hosts",
    "GlobalKnownHostsFile": "/dev/null",
    "IdentitiesOnly": "yes",
    "PasswordAuthentication": "no",
}


def with_machine(
    access: Access,
    login: Login,
    tools: Mapping[str, Path] | None = None,
    log_tools: Mapping[str, Path] | None = None,
) -> Access:
    """The same way into a cloud, and the way into one machine: the host `machine` is reached over
    SSH, `database` stands for the server on it and is reached from here over the network, with the
    engine's own client programs in the folders that `tools` names by engine; `log_tools` those that
    replay its log."""
    by_ssh = {
        "ansible_connection": "ssh",
        "ansible_host": login.address,
        "ansible_user": login.user,
        "ansible_ssh_private_key_file": "{{ inventory_dir }}/machine_key",
        "ansible_ssh_common_args": " ".join(f"-o {k}={v}" for k, v in _SSH_OPTIONS.items()),
        "ansible_ssh_transfer_method": "piped",
        "ansible_ssh_pipelining": True,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    here = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "machine_tools": {engine: str(folder) for engine, folder in (tools or {}).items()},
        "machine_log_tools": {e: str(folder) for e, folder in (log_tools or {}).items()},
    }
    inventory = {
        "machines": {"hosts": {"database": here}},
        "by_ssh": {"hosts": {"machine": by_ssh}},
    }
    return replace(
        access,
        files={**access.files, "machines.yml": inventory},
        texts={
            **access.texts,
            "machine_key": login.private_key,
            "ca.pem": login.ca_certificate,
            "known_hosts": f"{login.address} {login.host_key}\n",
        },
        inventory=Path("machines.yml"),
    )


@dataclass(frozen=True)
class OwnServer:
    """A server of a department's own, where its clients reach it; `resource_id` of what it is of
    `service`, `engine` where it stands. `admin_password` is empty where its cloud keeps it."""

    resource_id: str
    service: str
    engine: str
    address: str
    port: int
    admin_password: str = field(default="", repr=False)


@dataclass(frozen=True)
class PodLog:
    """The end of what one pod has written; `is_cut`: there was more."""

    pod: str
    is_ready: bool
    restarts: int
    text: str
    is_cut: bool
