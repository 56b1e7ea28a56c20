"""A machine's host key over real SSH, held against the one it announced."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import paramiko
import pytest

from controlplane.drivers import ssh
from controlplane.drivers.ssh import Rescue, announced_keys, prove_host_key
from controlplane.errors import CloudUnavailable

LOOPBACK = "127.0.0.1"


class Machine:
    """An SSH server that shows its key to whoever knocks."""

    def __init__(self) -> None:
        self.key = paramiko.ECDSAKey.generate()
        self.listener = socket.socket()
        self.listener.bind((LOOPBACK, 0))
        self.port: int = self.listener.getsockname()[1]

    @property
    def announced(self) -> str:
        return f"{self.key.get_name()} {self.key.get_base64()}"

    def boot(self) -> None:
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(self.key)
                with suppress(EOFError, paramiko.SSHException):
                    transport.start_server(server=paramiko.ServerInterface())

    def prove(self, *announced: str, seconds: float = 5) -> str:
        return prove_host_key(LOOPBACK, lambda: announced, timeout_seconds=seconds, port=self.port)


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    with closing(made.listener):
        yield made


def test_the_key_it_announced_is_proven(machine: Machine) -> None:
    machine.boot()
    other = paramiko.ECDSAKey.generate()
    proven = machine.prove(f"ssh-rsa {other.get_base64()}", f"{machine.announced} root@vm")
    assert proven == machine.announced


def test_it_is_waited_for_while_it_boots(machine: Machine) -> None:
    threading.Timer(0.5, machine.boot).start()
    assert machine.prove(machine.announced) == machine.announced


def test_knocks_that_fall_unanswered_hold_up_none_that_follow(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "PATIENCE_SECONDS", 0.25)
    # A port whose queue is full lets the first packet of a connection fall, as one without a
    # network does.
    machine.listener.listen(0)
    first = socket.create_connection((LOOPBACK, machine.port))
    with closing(first), pytest.raises(CloudUnavailable, match="did not answer SSH: no answer"):
        machine.prove(machine.announced, seconds=1)
    threading.Timer(0.5, machine.boot).start()
    assert machine.prove(machine.announced) == machine.announced


def test_its_console_is_waited_for_too(machine: Machine) -> None:
    machine.boot()
    consoles = iter([[], [machine.announced]])
    proven = prove_host_key(LOOPBACK, lambda: next(consoles), timeout_seconds=5, port=machine.port)
    assert proven == machine.announced


def test_a_stranger_on_the_way_is_named(machine: Machine) -> None:
    machine.boot()
    own = paramiko.ECDSAKey.generate()
    with pytest.raises(CloudUnavailable, match="not the one that the machine printed"):
        machine.prove(f"{own.get_name()} {own.get_base64()}")


def test_silence_is_an_end_too(machine: Machine) -> None:
    with pytest.raises(CloudUnavailable, match="did not answer SSH"):
        machine.prove(machine.announced, seconds=0.3)
    machine.boot()
    with pytest.raises(CloudUnavailable, match="printed no host key"):
        machine.prove(seconds=0.3)


def test_a_machine_that_has_stuck_as_it_booted_is_started_again_once(machine: Machine) -> None:
    console: list[str] = []
    started: list[str] = []

    def start_again() -> None:
        started.append("again")
        console.append(machine.announced)
        machine.boot()

    rescue = Rescue(0.3, start_again)
    proven = prove_host_key(
        LOOPBACK, lambda: console, timeout_seconds=5, port=machine.port, rescue=rescue
    )
    assert (proven, started) == (machine.announced, ["again"])


def test_a_machine_that_has_printed_its_key_is_not_started_again(machine: Machine) -> None:
    started: list[str] = []
    rescue = Rescue(0.1, lambda: started.append("again"))
    with pytest.raises(CloudUnavailable, match="did not answer SSH"):
        prove_host_key(
            LOOPBACK,
            lambda: [machine.announced],
            timeout_seconds=0.5,
            port=machine.port,
            rescue=rescue,
        )
    assert started == []


def test_only_the_last_whole_block_of_a_console_counts() -> None:
    begin, end = "-----BEGIN SSH HOST KEY KEYS-----", "-----END SSH HOST KEY KEYS-----"
    console = (
        f"{begin}\nssh-rsa OLD\n{end}\nboot\n{begin}\nssh-rsa NEW vm\nnoise\n{end}\n{begin}\nssh"
    )
    assert announced_keys(console) == ["ssh-rsa NEW vm"]
    assert announced_keys("no keys here") == []
